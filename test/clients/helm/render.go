// Renders the chart in a folder once for each file of values, with what Helm itself renders with: Go's templates, the functions of Sprig, and its YAML.
// What comes out is JSON: for each file its values, merged with the chart's, and the texts of its templates, or what was wrong.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

type values = map[string]interface{}

type rendered struct {
	Values values            `json:"values"`
	Texts  map[string]string `json:"texts"`
	Error  string            `json:"error"`
}

func main() {
	chart := os.Args[1]
	all := map[string]rendered{}
	for _, file := range os.Args[2:] {
		all[filepath.Base(file)] = renderChart(chart, file)
	}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		panic(err)
	}
}

func renderChart(chart string, file string) rendered {
	merged := merge(readYAML(file), readYAML(filepath.Join(chart, "values.yaml")))
	about := values{}
	// Templates know the fields of Chart.yaml by names with a capital.
	for key, value := range readYAML(filepath.Join(chart, "Chart.yaml")) {
		about[strings.ToUpper(key[:1])+key[1:]] = value
	}
	top := values{
		"Values":  merged,
		"Chart":   about,
		"Release": values{"Name": "test", "Namespace": "database", "Service": "Helm", "IsInstall": true, "IsUpgrade": false, "Revision": 1},
		"Capabilities": values{
			"KubeVersion": values{"Version": "v1.31.0", "Major": "1", "Minor": "31"},
			"APIVersions": versions{},
		},
		"Files":    files{chart},
		"Template": values{},
	}
	texts, err := execute(chart, top)
	if err != nil {
		return rendered{Values: merged, Error: err.Error()}
	}
	return rendered{Values: merged, Texts: texts}
}

type versions struct{}

func (versions) Has(string) bool { return true }

// Files of the chart that are no templates.
type files struct{ chart string }

func (f files) Get(name string) string {
	text, err := os.ReadFile(filepath.Join(f.chart, name))
	if err != nil {
		return ""
	}
	return string(text)
}

func execute(chart string, top values) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	root := template.New("root").Option("missingkey=zero")
	root.Funcs(functions(root))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if _, err := root.New(filepath.Base(file)).Parse(string(text)); err != nil {
			return nil, err
		}
	}
	texts := map[string]string{}
	for _, file := range files {
		name := filepath.Base(file)
		if strings.HasPrefix(name, "_") {
			continue
		}
		top["Template"] = values{"Name": "pgweir/templates/" + name, "BasePath": "pgweir/templates"}
		var text strings.Builder
		if err := root.ExecuteTemplate(&text, name, top); err != nil {
			return nil, err
		}
		texts[name] = strings.ReplaceAll(text.String(), "<no value>", "")
	}
	return texts, nil
}

func functions(root *template.Template) template.FuncMap {
	known := sprig.TxtFuncMap()
	delete(known, "env")
	delete(known, "expandenv")
	known["include"] = func(name string, data interface{}) (string, error) {
		var text strings.Builder
		err := root.ExecuteTemplate(&text, name, data)
		return text.String(), err
	}
	known["tpl"] = func(text string, data interface{}) (string, error) {
		inner, err := template.Must(root.Clone()).New("tpl").Parse(text)
		if err != nil {
			return "", err
		}
		var result strings.Builder
		err = inner.Execute(&result, data)
		return result.String(), err
	}
	known["required"] = func(warning string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return value, errors.New(warning)
		}
		return value, nil
	}
	known["toYaml"] = func(value interface{}) string {
		text, err := yaml.Marshal(value)
		if err != nil {
			return ""
		}
		return strings.TrimSuffix(string(text), "\n")
	}
	known["fromYaml"] = func(text string) values {
		read := values{}
		if err := yaml.Unmarshal([]byte(text), &read); err != nil {
			read["Error"] = err.Error()
		}
		return read
	}
	known["lookup"] = func(string, string, string, string) values { return values{} }
	return known
}

func readYAML(file string) values {
	text, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	read := values{}
	if err := yaml.Unmarshal(text, &read); err != nil {
		panic(fmt.Errorf("%s: %w", file, err))
	}
	return read
}

// What is given wins; null takes a default away.
func merge(given values, defaults values) values {
	merged := values{}
	for key, value := range defaults {
		merged[key] = value
	}
	for key, value := range given {
		inner, isMap := value.(values)
		under, wasMap := defaults[key].(values)
		switch {
		case value == nil:
			delete(merged, key)
		case isMap && wasMap:
			merged[key] = merge(inner, under)
		default:
			merged[key] = value
		}
	}
	return merged
}

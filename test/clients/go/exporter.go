// Asks the console as pgbouncer_exporter does, by lib/pq: one connection, a ping, and each SHOW read into whatever there is.
package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"

	_ "github.com/lib/pq"
)

type answer struct {
	Columns []string
	// By column: what Go makes of the values of the first row.
	Kinds []string
	Rows  int
}

func main() {
	answers := map[string]answer{}
	db, err := sql.Open("postgres", os.Args[1])
	check(err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	check(db.Ping())
	for _, query := range os.Args[2:] {
		answers[query] = ask(db, query)
	}
	check(db.Ping())
	text, err := json.Marshal(answers)
	check(err)
	fmt.Println(string(text))
}

func ask(db *sql.DB, query string) answer {
	rows, err := db.Query(query)
	check(err)
	defer rows.Close()
	columns, err := rows.Columns()
	check(err)
	said := answer{Columns: columns, Kinds: []string{}}
	for rows.Next() {
		values := make([]interface{}, len(columns))
		places := make([]interface{}, len(columns))
		for i := range values {
			places[i] = &values[i]
		}
		check(rows.Scan(places...))
		if said.Rows == 0 {
			for _, value := range values {
				said.Kinds = append(said.Kinds, fmt.Sprintf("%T", value))
			}
		}
		said.Rows++
	}
	check(rows.Err())
	return said
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

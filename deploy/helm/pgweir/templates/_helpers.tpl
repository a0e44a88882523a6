{{/* The name of each object. Pods of a StatefulSet get a label with its name and eleven more characters; a label may have 63. */}}
{{- define "pgweir.fullname" -}}
{{- $most := ternary 52 63 .Values.peers.enabled -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc $most | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc $most | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc $most | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The name of the Service that gives each pod its own DNS name. */}}
{{- define "pgweir.peersName" -}}
{{- printf "%s-peers" (include "pgweir.fullname" . | trunc 57 | trimSuffix "-") -}}
{{- end -}}

{{/* The name of the Service for metrics and the live page. */}}
{{- define "pgweir.httpName" -}}
{{- printf "%s-http" (include "pgweir.fullname" . | trunc 58 | trimSuffix "-") -}}
{{- end -}}

{{- define "pgweir.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pgweir.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "pgweir.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "pgweir.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The kind of the workload. */}}
{{- define "pgweir.workload" -}}
{{- ternary "StatefulSet" "Deployment" .Values.peers.enabled -}}
{{- end -}}

{{/* The name of the Secret with the user list; empty if there is none. */}}
{{- define "pgweir.userList" -}}
{{- if .Values.auth.existingSecret -}}
{{- .Values.auth.existingSecret -}}
{{- else if .Values.auth.users -}}
{{- include "pgweir.fullname" . -}}
{{- end -}}
{{- end -}}

{{/* Fails unless the text is a single line: a second line would be another setting, user or key. */}}
{{- define "pgweir.oneLine" -}}
{{- if regexMatch "[\r\n\u0085\u2028\u2029]" . -}}
{{- fail "a name or value of databases, users, settings or auth.users has more than one line, which the files that the chart makes cannot hold" -}}
{{- end -}}
{{- . -}}
{{- end -}}

{{/* A value in ini syntax. Helm reads numbers in values files as floats, and writes large ones as 1e+06. */}}
{{- define "pgweir.text" -}}
{{- if kindIs "bool" . -}}
{{- ternary "1" "0" . -}}
{{- else if kindIs "slice" . -}}
{{- include "pgweir.oneLine" (join ", " .) -}}
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . -}}
{{- else -}}
{{- include "pgweir.oneLine" (toString .) -}}
{{- end -}}
{{- end -}}

{{/* Fails if a secret is in clear text, since anybody who may read ConfigMaps could read it: it has to be a reference. Takes the name of the value, and the value. */}}
{{- define "pgweir.elsewhere" -}}
{{- $said := toString .said | trim | trimAll "'\"" -}}
{{- if not (or (eq $said "") (hasPrefix "file:" $said) (regexMatch "(^|[^$])[$][{]" $said)) -}}
{{- fail (printf "%s would stand in a ConfigMap: use ${NAME}, a variable of extraEnv, or file:PATH, a file of extraVolumes" .name) -}}
{{- end -}}
{{- end -}}

{{/* The lines of [databases] and [users]. */}}
{{- define "pgweir.lines" -}}
{{- range $name, $line := . }}
{{- $key := ternary $name (printf "\"%s\"" ($name | replace "\"" "\"\"")) (regexMatch "^[a-zA-Z0-9_.*-]+$" $name) }}
{{- if kindIs "map" $line }}
{{- $pairs := list }}
{{- range $word, $value := $line }}
{{- if eq $word "password" }}{{ include "pgweir.elsewhere" (dict "name" (printf "the password of databases.%s" $name) "said" $value) }}{{ end }}
{{- $pairs = append $pairs (printf "%s='%s'" $word (include "pgweir.text" $value | replace "'" "''")) }}
{{- end }}
{{ include "pgweir.oneLine" (printf "%s = %s" $key (join " " $pairs)) }}
{{- else }}
{{- range regexFindAll "(^|\\s)password\\s*=\\s*('([^']|'')*'|\\S*)" (toString $line) -1 }}
{{- include "pgweir.elsewhere" (dict "name" (printf "the password of databases.%s" $name) "said" (regexReplaceAll "^\\s*password\\s*=" . "")) }}
{{- end }}
{{ include "pgweir.oneLine" (printf "%s = %s" $key (include "pgweir.text" $line)) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Merges the chart's own labels with additional ones; the chart's own win. Takes both. */}}
{{- define "pgweir.with" -}}
{{- toYaml (merge (dict) .own (default dict .more)) -}}
{{- end -}}

{{/* The settings that the chart itself makes. */}}
{{- define "pgweir.ownSettings" -}}
listen_addr: "*"
listen_port: 6432
unix_socket_dir: ""
http_listen: "*:9127"
shutdown_grace: {{ .Values.shutdown.graceSeconds }}
shutdown_timeout: {{ .Values.shutdown.timeoutSeconds }}
{{- if include "pgweir.userList" . }}
auth_file: /etc/pgweir/secret/{{ .Values.auth.key }}
{{- end }}
{{- with .Values.clientTls }}
{{- if .existingSecret }}
client_tls_sslmode: {{ .sslmode }}
client_tls_cert_file: /etc/pgweir/client-tls/tls.crt
client_tls_key_file: /etc/pgweir/client-tls/tls.key
{{- if hasPrefix "verify-" .sslmode }}
client_tls_ca_file: /etc/pgweir/client-tls/ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.serverTls }}
{{- if and .clientCertificate (not .existingSecret) }}
{{- fail "serverTls.clientCertificate needs serverTls.existingSecret, which has the certificate" }}
{{- end }}
{{- if and (hasPrefix "verify-" .sslmode) (not .existingSecret) (not $.Values.settings.server_tls_ca_file) }}
{{- fail (printf "serverTls.sslmode %s needs an authority: name a Secret with ca.crt in serverTls.existingSecret, or a file in settings.server_tls_ca_file" .sslmode) }}
{{- end }}
{{- if .sslmode }}
server_tls_sslmode: {{ .sslmode }}
{{- end }}
{{- if .existingSecret }}
server_tls_ca_file: /etc/pgweir/server-tls/ca.crt
{{- if .clientCertificate }}
server_tls_cert_file: /etc/pgweir/server-tls/tls.crt
server_tls_key_file: /etc/pgweir/server-tls/tls.key
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "pgweir.ini" -}}
{{- $own := include "pgweir.ownSettings" . | fromYaml -}}
[databases]
{{- include "pgweir.lines" .Values.databases }}
{{- if not (or .Values.databases .Values.upstream.existingSecret) }}
* = host=postgres port=5432
{{- end }}
{{- with .Values.users }}

[users]
{{- include "pgweir.lines" . }}
{{- end }}
{{- if .Values.peers.enabled }}

; As many as there may ever be pods. The variable PGWEIR_PEER_ID of a pod says which one it is.
[peers]
{{- $most := .Values.replicaCount }}
{{- if .Values.autoscaling.enabled }}{{ $most = .Values.autoscaling.maxReplicas }}{{ end }}
{{- range $number := untilStep 1 (add1 (int $most) | int) 1 }}
{{ $number }} = host={{ include "pgweir.fullname" $ }}-{{ $number }}.{{ include "pgweir.peersName" $ }}
{{- end }}
{{- end }}

[pgweir]
{{- range $name, $value := $own }}
{{ $name }} = {{ include "pgweir.text" $value }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- if or (hasKey $own $name) (eq $name "health_listen") }}{{ fail (printf "settings.%s is made by the chart: leave it out" $name) }}{{ end }}
{{- if eq $name "http_token" }}{{ fail "settings.http_token would stand in a ConfigMap: put it into a Secret, and name that in http.tokenSecret" }}{{ end }}
{{- if eq $name "auth_ldap_options" }}
{{- range regexFindAll "ldapbindpasswd\\s*=\\s*(\"([^\"]|\"\")*\"|\\S*)" (toString $value) -1 }}
{{- include "pgweir.elsewhere" (dict "name" "ldapbindpasswd" "said" (regexReplaceAll "^ldapbindpasswd\\s*=" . "")) }}
{{- end }}
{{- end }}
{{- if not (kindIs "invalid" $value) }}
{{ include "pgweir.oneLine" (printf "%s = %s" $name (include "pgweir.text" $value)) }}
{{- end }}
{{- end }}
{{- with .Values.extraIni }}

{{ . | trim }}
{{- end }}
{{ end -}}

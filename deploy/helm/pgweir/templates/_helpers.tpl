{{/* The name of whatever is made. With that of a StatefulSet and eleven characters more its pods are labelled, and a label has 63. */}}
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

{{/* The name of the Service by which each pod has a name of its own. */}}
{{- define "pgweir.peersName" -}}
{{- printf "%s-peers" (include "pgweir.fullname" . | trunc 57 | trimSuffix "-") -}}
{{- end -}}

{{/* The name of the Service for what is told by HTTP. */}}
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

{{/* The kind of what runs the pods. */}}
{{- define "pgweir.workload" -}}
{{- ternary "StatefulSet" "Deployment" .Values.peers.enabled -}}
{{- end -}}

{{/* The Secret with the user list; nothing if there is none. */}}
{{- define "pgweir.userList" -}}
{{- if .Values.auth.existingSecret -}}
{{- .Values.auth.existingSecret -}}
{{- else if .Values.auth.users -}}
{{- include "pgweir.fullname" . -}}
{{- end -}}
{{- end -}}

{{/* A text that has to stay on its line: what comes after it would be a setting, a user or a key of its own. */}}
{{- define "pgweir.oneLine" -}}
{{- if regexMatch "[\r\n\u0085\u2028\u2029]" . -}}
{{- fail "a name or value of databases, users, settings or auth.users has more than one line, which a file of lines cannot have" -}}
{{- end -}}
{{- . -}}
{{- end -}}

{{/* A value as ini has it. Numbers from a file of values are fractions to Helm, which writes the large ones as 1e+06. */}}
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

{{/* A secret is where the pods find it: whoever may read ConfigMaps reads what stands in the file. Takes the name of the value, and what is said. */}}
{{- define "pgweir.elsewhere" -}}
{{- $said := toString .said | trim | trimAll "'\"" -}}
{{- if not (or (eq $said "") (hasPrefix "file:" $said) (regexMatch "(^|[^$])[$][{]" $said)) -}}
{{- fail (printf "%s would stand in a ConfigMap: let it be ${NAME}, a variable of extraEnv, or file:PATH, a file of extraVolumes" .name) -}}
{{- end -}}
{{- end -}}

{{/* Lines of [databases] and [users]. */}}
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

{{/* Labels with those that somebody wants besides; the chart's own stay as they are. Takes both. */}}
{{- define "pgweir.with" -}}
{{- toYaml (merge (dict) .own (default dict .more)) -}}
{{- end -}}

{{/* What the chart itself sets. */}}
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

; As many as there may ever be. Which one a pod is, its variable PGWEIR_PEER_ID tells.
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

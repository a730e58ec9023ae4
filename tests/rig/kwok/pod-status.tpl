{{ $now := Now }}
{{ $started := or .status.startTime $now }}
{{ $ready := true }}
{{ range .spec.containers }}{{ if regexMatch "^[^@]*:[^/@]*bad" .image }}{{ $ready = false }}{{ end }}{{ end }}
{{ with .metadata.annotations }}
{{ with index . "test.stairlock.dev/ready" }}{{ $ready = eq . "true" }}{{ end }}
{{ if and (index . "test.stairlock.dev/ready-after") (ne $.status.phase "Running") }}{{ $ready = false }}{{ end }}
{{ end }}
phase: Running
startTime: {{ $started | Quote }}
conditions:
- {type: Initialized, status: "True", lastTransitionTime: {{ $started | Quote }}}
{{ range $type := list "ContainersReady" "Ready" }}
- type: {{ $type }}
  lastTransitionTime: {{ $now | Quote }}
{{ if $ready }}
  status: "True"
  reason: null
  message: null
{{ else }}
  status: "False"
  reason: ContainersNotReady
  message: the image tag or an annotation says that this pod is not ready
{{ end }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  restartCount: 0
  ready: {{ $ready }}
  started: true
  state: {running: {startedAt: {{ $started | Quote }}}}
{{ end }}
{{ with .spec.initContainers }}
initContainerStatuses:
{{ range . }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  restartCount: 0
  ready: true
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $started | Quote }}, finishedAt: {{ $started | Quote }}}}
{{ end }}
{{ end }}
{{ with NodeIPsWith .spec.nodeName }}
hostIP: {{ index . 0 | Quote }}
hostIPs: [{ip: {{ index . 0 | Quote }}}]
{{ end }}
{{ if not .status.podIP }}
{{ with PodIPsWith .spec.nodeName (or .spec.hostNetwork false) (or .metadata.uid "") (or .metadata.name "") (or .metadata.namespace "") }}
podIP: {{ index . 0 | Quote }}
podIPs: [{ip: {{ index . 0 | Quote }}}]
{{ end }}
{{ end }}

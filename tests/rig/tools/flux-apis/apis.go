// Package apis names the Flux API packages that the rig's Flux CRDs are generated from.
package apis

import (
	_ "github.com/fluxcd/image-reflector-controller/api/v1"
	_ "github.com/fluxcd/kustomize-controller/api/v1"
	_ "github.com/fluxcd/source-controller/api/v1"
)

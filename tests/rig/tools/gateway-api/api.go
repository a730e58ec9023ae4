// Package api names the module that the rig's Gateway API CRDs come from.
package api

import _ "sigs.k8s.io/gateway-api/apis/v1"

// Package metrics stands on floor 4.
package metrics

import _ "planted.test/mailcore"

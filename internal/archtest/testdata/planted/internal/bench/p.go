// Package bench drives everything.
package bench

import _ "planted.test/mailcore"

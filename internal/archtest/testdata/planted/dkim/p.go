// Package dkim knows another leaf.
package dkim

import _ "planted.test/srs"

// Package cli is a part of the example.
package cli

import _ "planted.test/mailcore"

func Run() {}

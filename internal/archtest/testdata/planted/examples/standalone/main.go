// Command standalone opens the cellar.
package main

import (
	"planted.test/examples/standalone/cli"
	"planted.test/internal/address"
	_ "planted.test/mailcore/metrics"
)

func main() { Run(address.Address{}) }

func Run(address.Address) { cli.Run() }

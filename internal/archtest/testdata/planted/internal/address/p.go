// Package address may be used by the whole cellar.
package address

type Address struct{ Local, Domain string }

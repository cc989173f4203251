// Package transport imports what is above it.
package transport

import (
	"planted.test/internal/address"
	_ "planted.test/queue/queuetest"
	_ "planted.test/srs"
	_ "planted.test/transport/transporttest"
)

// What a public declaration may not show.
type (
	Alias     = address.Address
	Array     [4]address.Address
	Chan      chan address.Address
	Embedding struct{ address.Address }
	Field     struct{ To []address.Address }
	Func      func(map[string]*address.Address)
	Generic   struct{ Of Box[address.Address] }
	Key       map[address.Address]bool
	Limited   interface{ ~int | address.Address }
	Method    int
	Result    interface{ Address() address.Address }
	Given     struct{ Inner hidden }
)

func (Method) To(address.Address) {}

func Bound[T interface{ To(address.Address) }](T) {}

var Default = &address.Address{}

// What it may.
type (
	Private    struct{ to address.Address }
	Box[T any] struct{ v T }
	Sealed     interface{ sealed(address.Address) }
)

type hidden struct{ To address.Address }

func (Private) set(address.Address) {}

func local(address.Address) {}

package srs_test

import (
	"crypto/rand"
	"fmt"
	"log"
	"strings"

	"github.com/panelmail/panelmail/srs"
)

func Example() {
	current, previous := make([]byte, 32), make([]byte, 32)
	rand.Read(current)
	rand.Read(previous) // signs no more, and still verifies

	r, err := srs.New("fwd.example.net", current, previous)
	if err != nil {
		log.Fatal(err)
	}
	// A copy of a message leaves for another host.
	reversePath, err := r.Forward("alice@example.com")
	if err != nil {
		log.Fatal(err)
	}
	// A bounce comes back.
	original, err := r.Reverse(strings.ToLower(reversePath))
	fmt.Println(original, err)
	// Output: alice@example.com <nil>
}

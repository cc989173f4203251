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

// Addresses that postsrsd has made, with its usual four characters of hash, are still
// understood for the three weeks that they are good for. After that both the old secret
// and MinHashLength go.
func Example_migration() {
	old, current := []byte("first line of /etc/postsrsd.secret"), make([]byte, 32)
	rand.Read(current)

	before, err := srs.New("fwd.example.net", old)
	if err != nil {
		log.Fatal(err)
	}
	before.HashLength = 4
	made, err := before.Forward("alice@example.com")
	if err != nil {
		log.Fatal(err)
	}

	r, err := srs.New("fwd.example.net", current, old)
	if err != nil {
		log.Fatal(err)
	}
	_, err = r.Reverse(made)
	fmt.Println(err)
	r.MinHashLength = 4
	fmt.Println(r.Reverse(made))
	// Output:
	// srs: the hash is not of any secret
	// alice@example.com <nil>
}

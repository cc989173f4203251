package crash

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// recipient is the address of message id.
func recipient(id int) string { return fmt.Sprintf("m%d@sink.crash.test", id) }

// identify finds the message that an address belongs to.
func identify(address string) (id int, ok bool) {
	local, _, _ := strings.Cut(address, "@")
	id, err := strconv.Atoi(strings.TrimPrefix(local, "m"))
	return id, err == nil && id >= 0
}

// body is what message id says: a few lines up to a hundred, the same whenever
// asked with the same seed, some of them beginning with dots.
func body(seed uint64, id int) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(id)))
	var b bytes.Buffer
	for n := 1 + r.IntN(100); n > 0; n-- {
		if r.IntN(20) == 0 {
			b.WriteByte('.')
		}
		for range r.IntN(76) {
			b.WriteByte(byte('!' + r.IntN('~'-'!'+1)))
		}
		b.WriteString("\r\n")
	}
	fmt.Fprintf(&b, "end of %d\r\n", id)
	return b.Bytes()
}

// content is message id as it is submitted.
func content(seed uint64, id int) []byte {
	head := fmt.Sprintf("From: crash@submitter.crash.test\r\nSubject: message %d\r\n\r\n", id)
	return append([]byte(head), body(seed, id)...)
}

// intact reports whether what arrived is message id: whatever the server put
// into the header, the body must be untouched.
func intact(seed uint64, id int, arrived []byte) bool {
	_, b, found := bytes.Cut(arrived, []byte("\r\n\r\n"))
	return found && bytes.Equal(b, body(seed, id))
}

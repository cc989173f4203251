package smtpclient

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

// replyOf is a reply of so many octets, in lines of at most 1000.
func replyOf(octets int) string {
	var b strings.Builder
	for left := octets; left > 0; {
		n := min(left, 1000)
		if rest := left - n; rest > 0 && rest < len("250 \r\n") {
			n -= 10
		}
		mark := "250-"
		if left -= n; left == 0 {
			mark = "250 "
		}
		b.WriteString(mark + strings.Repeat("x", n-len("250 \r\n")) + "\r\n")
	}
	return b.String()
}

func read(wire io.Reader) (Reply, error) {
	rr := replyReader{r: bufio.NewReaderSize(wire, readSize), log: &transcript{}}
	return rr.read()
}

func TestAReplyIsReadUpToItsLimit(t *testing.T) {
	line := func(n int) string { return "250 " + strings.Repeat("x", n-len("250 \r\n")) + "\r\n" }
	for _, test := range []struct {
		name, wire string
		ok         bool
	}{
		{"a reply of 64 KiB", replyOf(maxReply), true},
		{"a reply of 64 KiB and an octet", replyOf(maxReply + 1), false},
		{"a line of 2 KiB", line(maxReplyLine), true},
		{"a line of 2 KiB and an octet", line(maxReplyLine + 1), false},
	} {
		r, err := read(strings.NewReader(test.wire))
		if ok := err == nil; ok != test.ok || !ok && !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", test.name, err)
		}
		if len(r.Text) > maxText {
			t.Errorf("%s: %d octets of text are kept", test.name, len(r.Text))
		}
	}
}

func TestAReplyWithoutEndIsReadNoFurtherThanItsLimit(t *testing.T) {
	for name, lines := range map[string]string{
		"lines": "250-" + strings.Repeat("x", 70) + "\r\n", "empty lines": "250-\r\n", "one line": "x",
	} {
		endless := &repeat{unit: lines}
		if _, err := read(endless); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
		if endless.read > maxReply+readSize {
			t.Errorf("%s: %d octets were read", name, endless.read)
		}
	}
}

// repeat gives its unit again and again, and counts the octets.
type repeat struct {
	unit string
	read int
}

func (r *repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.unit[r.read%len(r.unit)]
		r.read++
	}
	return len(p), nil
}

package smtpserver

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
)

// parts is a reader that gives one part in each call.
type parts []string

func (p *parts) Read(b []byte) (int, error) {
	if len(*p) == 0 {
		return 0, io.EOF
	}
	n := copy(b, (*p)[0])
	if (*p)[0] = (*p)[0][n:]; (*p)[0] == "" {
		*p = (*p)[1:]
	}
	return n, nil
}

// split calls f with s cut in two at every place, and in three.
func split(s string, f func(pieces []string)) {
	for i := range len(s) + 1 {
		for j := i; j <= len(s); j++ {
			var pieces []string
			for _, piece := range []string{s[:i], s[i:j], s[j:]} {
				if piece != "" {
					pieces = append(pieces, piece)
				}
			}
			f(pieces)
		}
	}
}

func TestDotsAreFoundHoweverTheOctetsArrive(t *testing.T) {
	for _, tt := range []struct{ wire, content string }{
		{".\r\n", ""},
		{"..\r\n.\r\n", ".\r\n"},
		{"\r\n.\r\n", "\r\n"},
		{"a\r\n..b\r\n...\r\n.c\r\n.\r\n", "a\r\n.b\r\n..\r\nc\r\n"},
		{"a\n.\nb\n.\r\n\r\n.\r\n", "a\n.\nb\n.\r\n\r\n"},
		{"\r\r\n..\r.\r\r\n.\r\n", "\r\r\n.\r.\r\r\n"},
		{".\rx\r\n.\r.\r\n.\r\n", "\rx\r\n\r.\r\n"},
	} {
		split(tt.wire+"NEXT", func(pieces []string) {
			in := parts(pieces)
			r := bufio.NewReaderSize(&in, 16)
			var got strings.Builder
			frame := newDotFramer(r)
			for {
				run, err := frame.next()
				if err == io.EOF {
					break
				}
				if err != nil || len(run) == 0 {
					t.Fatalf("%q: %q, %v", pieces, run, err)
				}
				got.Write(run)
			}
			if got.String() != tt.content {
				t.Errorf("%q: got %q, want %q", pieces, got.String(), tt.content)
			}
			if rest, _ := io.ReadAll(r); string(rest) != "NEXT" {
				t.Errorf("%q: what follows is %q", pieces, rest)
			}
			if _, err := frame.next(); err != io.EOF {
				t.Errorf("%q: after the end: %v", pieces, err)
			}
		})
	}
}

func TestContentWithoutAnEndIsAnError(t *testing.T) {
	for _, wire := range []string{"", "a", "a\r\n", "a\r\n.", "a\r\n.\r", ".", ".\r"} {
		frame := newDotFramer(bufio.NewReader(strings.NewReader(wire)))
		if err := frame.drain(); err != io.ErrUnexpectedEOF {
			t.Errorf("%q: %v", wire, err)
		}
	}
}

func TestRulesHoldHoweverTheContentIsCut(t *testing.T) {
	const (
		none   = "<nil>"
		long   = "5.6.0 Error: line too long"
		big    = "5.3.4 Error: message file too big"
		bareLF = "5.5.2 Error: bare <LF> received"
		bareCR = "5.5.2 Error: bare <CR> received"
		nul    = "5.5.2 Error: NUL received"
	)
	for _, tt := range []struct{ content, strict, lenient string }{
		{"", none, none},
		{"a\r\nb\r\n", none, none},
		{"123456789\r\n123456789\r\n12\r\n", none, none},
		{"12345678901", long, long},
		{"1234567890\r\n", long, long},
		{"1234567890\n", bareLF, none},
		{"\r\n12345678901\r\n", long, long},
		{"a\n", bareLF, none},
		{"a\r", bareCR, none},
		{"a\rb\r\n", bareCR, none},
		{"\r\r\n", bareCR, none},
		{"\n\r", bareLF, none},
		{"a\x00\r\n", nul, none},
		{strings.Repeat("x\r\n", 10), none, none},
		{strings.Repeat("x\r\n", 10) + "y", big, big},
	} {
		for strict, want := range map[bool]string{true: tt.strict, false: tt.lenient} {
			split(tt.content, func(pieces []string) {
				r := rules{strict: strict, left: 30, max: 10}
				var err error
				for _, piece := range pieces {
					if err == nil {
						err = r.check([]byte(piece))
					}
				}
				if err == nil {
					err = r.end()
				}
				if got := fmt.Sprint(err); got != want {
					t.Errorf("strict %v: %q: %s, want %s", strict, pieces, got, want)
				}
			})
		}
	}
}

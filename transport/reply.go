package transport

import (
	"fmt"
	"strings"
)

// A Reply is an SMTP reply (RFC 5321 section 4.2) with its enhanced status code
// (RFC 3463). It is also an error, so that a hook can return the very answer the
// client is to get.
type Reply struct {
	Code     int    // 200 to 599; zero: no reply
	Enhanced [3]int // class, subject, detail; zero: none
	Text     string // one or more lines separated by "\n", without codes
}

// Replyf makes a reply. The enhanced code is written "5.7.1"; "" is none.
// Replyf panics on a malformed one, which is a mistake in the program.
func Replyf(code int, enhanced, format string, args ...any) Reply {
	r := Reply{Code: code, Text: fmt.Sprintf(format, args...)}
	if enhanced != "" {
		if n, err := fmt.Sscanf(enhanced, "%d.%d.%d", &r.Enhanced[0], &r.Enhanced[1], &r.Enhanced[2]); n != 3 {
			panic(fmt.Sprintf("transport: enhanced status %q: %v", enhanced, err))
		}
	}
	return r
}

// Status is the enhanced status code as text. A reply without one has the class
// of its code and zeros (RFC 3463 section 3.1).
func (r Reply) Status() string {
	e := r.Enhanced
	if e[0] == 0 {
		e = [3]int{r.Code / 100, 0, 0}
	}
	return fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])
}

// Error is the reply on one line: code, enhanced code if there is one, text.
func (r Reply) Error() string {
	text := strings.ReplaceAll(r.Text, "\n", " ")
	if r.Enhanced[0] == 0 {
		return fmt.Sprintf("%03d %s", r.Code, text)
	}
	return fmt.Sprintf("%03d %d.%d.%d %s", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2], text)
}

// SMTPReply gives the parts to a server that knows only this method.
func (r Reply) SMTPReply() (code int, enhanced [3]int, text string) {
	return r.Code, r.Enhanced, r.Text
}

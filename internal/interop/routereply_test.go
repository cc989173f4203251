package interop_test

import (
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/interop"
)

// rcptReplies are the replies of a server on a real socket to RCPT for each
// recipient, in one transaction.
func rcptReplies(t *testing.T, addr string, recipients []string) (replies []string) {
	t.Helper()
	conn, err := textproto.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say := func(line string) string {
		t.Helper()
		if line != "" {
			if err := conn.PrintfLine("%s", line); err != nil {
				t.Fatal(err)
			}
		}
		for {
			text, err := conn.ReadLine()
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if len(text) < 4 || text[3] != '-' {
				return text
			}
		}
	}
	for _, line := range []string{"", "EHLO c.test", "MAIL FROM:<x@stranger.test>"} {
		if got := say(line); got[0] != '2' {
			t.Fatalf("%q: %s", line, got)
		}
	}
	for _, to := range recipients {
		replies = append(replies, say("RCPT TO:<"+to+">"))
	}
	say("QUIT")
	return replies
}

// Recipients whose route returns or defers them are answered at RCPT, to the letter
// as Postfix answers them.
func TestRoutesAreAnsweredAtRcptAsByARealPostfix(t *testing.T) {
	const routes = `bad.test          error:Bad domain!
.bad.test         error:5.7.1 Not here
empty.test        error:
odd.test          error:5.2.1x Not a status
later.test        retry:4.7.9 later please
soon.test         retry:
u+ext@exact.test  error:5.1.6 moved
void.test         discard:gone
`
	recipients := []string{
		"u@bad.test", "u@x.bad.test", "U@EMPTY.test", "u@odd.test", "u@later.test", "u@soon.test", "u+ext@exact.test",
		"u+other@exact.test", "u@void.test",
	}
	dir, err := os.MkdirTemp("", "postfix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "transport")
	if err := os.WriteFile(file, []byte(routes), 0o644); err != nil {
		t.Fatal(err)
	}
	postfix := &interop.Postfix{Dir: dir, Main: []string{"transport_maps = texthash:" + file, "recipient_delimiter = +", "smtpd_error_sleep_time = 0"}}
	interop.RunPostfix(t, postfix)
	ours := newPanel(t, `relay.networks = ["127.0.0.1/32"]`)
	ours.do(t, "", "route", "import", file)

	want, got := rcptReplies(t, postfix.Addr, recipients), rcptReplies(t, ours.Addr, recipients)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-Postfix +ours):\n%s", diff)
	}
	if refused := strings.Count(strings.Join(got, "\n")+"\n", "Recipient address rejected: "); refused != 7 {
		t.Errorf("%d refused, want 7: %q", refused, got)
	}
}

package smtpserver

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// endsOfData are octets that some server somewhere takes for the end of DATA.
var endsOfData = []struct {
	seq    string
	ends   bool
	strict bool // strict content may have it
}{
	{"\r\n.\r\n", true, true},
	{"\r\r\n.\r\n", true, false}, // has the true end in it
	{"\n.\n", false, false},
	{"\n.\r\n", false, false},
	{"\r\n.\n", false, false},
	{"\n\n.\r\n", false, false},
	{"\r\n.\r\r\n", false, false},
	{"\r.\r\n", false, false},
	{"\r.\r", false, false},
	{"\r\n.\r", false, false},
	{"\n.\r", false, false},
	{"\r.\n", false, false},
	{"\r\n\x00.\r\n", false, false},
	{"\r\n.\x00\r\n", false, false},
	{"\r\n. \r\n", false, true},
	{"\r\n .\r\n", false, true},
	{"\r\n\r.\r\n", false, false},
	{"\r\n\x1a.\r\n", false, true},
	{"\r\n\x0b.\x0b", false, true},
	{"\x85.\x85", false, true},
	{"\u2028.\u2028", false, true},
	{"\r\n..\r\n", false, true},
}

// TestNothingIsSmuggledPastTheEndOfData sends a message whose content goes on
// with commands of another one behind each sequence.
func TestNothingIsSmuggledPastTheEndOfData(t *testing.T) {
	for _, seq := range endsOfData {
		for _, from := range []string{"a@remote.test", "lenient@local.test"} {
			for _, way := range []string{"steps", "pipelined", "octets", "TLS"} {
				t.Run(fmt.Sprintf("%q/%s/%s", seq.seq, from, way), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						replies, messages := smuggle(t, seq.seq, from, way)
						var want, got []string
						if seq.strict || from == "lenient@local.test" {
							want = append(want, from)
						}
						if seq.ends {
							want = append(want, "evil@remote.test") // the commands are commands
						}
						for _, m := range messages {
							got = append(got, m.from)
						}
						if diff := cmp.Diff(want, got); diff != "" {
							t.Errorf("accepted (-want +got):\n%s", diff)
						}
						refused := slices.ContainsFunc(replies, func(line string) bool {
							return strings.HasPrefix(line, "550 5.5.2 ")
						})
						if refused != (!seq.strict && from == "a@remote.test") {
							t.Errorf("replies: %q", replies)
						}
						if end := replies[len(replies)-2:]; end[0] != "221 2.0.0 Bye" {
							t.Errorf("the dialogue lost its way: %q", replies)
						}
					})
				})
			}
		}
	}
}

// smuggle returns the replies after MAIL and what was accepted.
func smuggle(t *testing.T, seq, from, way string) ([]string, []message) {
	s, d, _ := newServer()
	s.TLS = tlsConfig(t)
	c, _, _ := connect(t, s)
	p := newPeer(t, c)
	if way == "TLS" {
		p.say("EHLO client.test")
		p.say("STARTTLS")
		p.startTLS()
	}
	p.say("EHLO client.test")
	envelope := "MAIL FROM:<" + from + ">\r\nRCPT TO:<u@local.test>\r\nDATA\r\n"
	body := "Subject: first\r\n\r\nfirst" + seq +
		"MAIL FROM:<evil@remote.test>\r\nRCPT TO:<u@local.test>\r\nDATA\r\nSubject: second\r\n\r\nsecond\r\n.\r\nQUIT\r\n"
	var replies []string
	switch way {
	case "octets":
		for i := range len(envelope + body) {
			p.send((envelope + body)[i : i+1])
			synctest.Wait() // the server sees one octet at a time
		}
	case "pipelined":
		p.send(envelope + body)
	default:
		p.send(envelope)
		replies = p.hear()
		p.send(body)
	}
	return append(replies, p.hear()...), d.accepted()
}

// TestContentThatIsCutOffIsNeverAccepted ends the connection in the middle.
func TestContentThatIsCutOffIsNeverAccepted(t *testing.T) {
	for name, body := range map[string]string{
		"DATA":             "DATA\r\nSubject: cut\r\n\r\ncut\r\n.",
		"DATA in a line":   "DATA\r\nSubject: cut",
		"BDAT LAST":        "BDAT 100 LAST\r\nSubject: cut\r\n\r\ncut\r\n",
		"BDAT":             "BDAT 100\r\nSubject: cut\r\n\r\ncut\r\n",
		"between chunks":   "BDAT 14\r\nSubject: cut\r\n",
		"BDAT too big":     "BDAT 99999999 LAST\r\nSubject: cut\r\n\r\ncut\r\n",
		"BDAT bare":        "BDAT 100 LAST\r\nSubject: cut\n\ncut\r\n",
		"refused chunk":    "RSET\r\nBDAT 100 LAST\r\nSubject: cut\r\n",
		"BDAT early":       "RSET\r\nMAIL FROM:<early@local.test>\r\nRCPT TO:<u@local.test>\r\nBDAT 100 LAST\r\nSubject: cut\r\n",
		"careless handler": "RSET\r\nMAIL FROM:<careless@local.test>\r\nRCPT TO:<u@local.test>\r\nBDAT 100 LAST\r\nSubject: cut\r\n",
		"deaf handler":     "RSET\r\nMAIL FROM:<deaf@local.test>\r\nRCPT TO:<u@local.test>\r\nBDAT 100 LAST\r\nSubject: cut\r\n",
	} {
		for _, end := range []string{"FIN", "reset", "close_notify", "TLS and FIN", "stall"} {
			t.Run(name+"/"+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { cutOff(t, body, end) })
			})
		}
	}
}

func cutOff(t *testing.T, body, end string) {
	s, d, _ := newServer()
	s.TLS = tlsConfig(t)
	c, served, _ := connect(t, s)
	p := newPeer(t, c)
	if strings.HasPrefix(end, "close_notify") || strings.HasPrefix(end, "TLS") {
		p.say("EHLO client.test")
		p.say("STARTTLS")
		p.startTLS()
	}
	p.say("EHLO client.test", "MAIL FROM:<a@remote.test>", "RCPT TO:<u@local.test>")
	p.send(body)
	synctest.Wait()
	switch end {
	case "close_notify":
		p.conn.(interface{ CloseWrite() error }).CloseWrite()
	case "reset":
		c.Reset()
	case "stall":
		time.Sleep(s.timeout() + time.Second)
	default:
		c.CloseWrite()
	}
	for _, line := range p.hear() {
		if strings.Contains(line, "queued") {
			t.Errorf("answered %q", line)
		}
	}
	<-served
	if got := d.accepted(); len(got) > 0 {
		t.Errorf("accepted %q", got)
	}
	if d.open != 0 || d.sessions != 0 {
		t.Errorf("%d transactions and %d sessions were not ended", d.open, d.sessions)
	}
}

// secondMessage is what is smuggled.
const secondMessage = "MAIL FROM:<evil@remote.test>\r\nRCPT TO:<u@local.test>\r\nDATA\r\nSubject: second\r\n\r\nsecond\r\n.\r\nQUIT\r\n"

// TestNothingIsSmuggledInAChunk has each sequence, and the commands behind it, in
// content that comes by BDAT: what ends it is the number of octets.
func TestNothingIsSmuggledInAChunk(t *testing.T) {
	for _, seq := range endsOfData {
		for _, from := range []string{"a@remote.test", "lenient@local.test"} {
			for _, last := range []int{0, 1, 7} { // octets in a second chunk
				synctest.Test(t, func(t *testing.T) {
					s, d, _ := newServer()
					c, _, _ := connect(t, s)
					p := newPeer(t, c)
					p.say("EHLO client.test", "MAIL FROM:<"+from+">", "RCPT TO:<u@local.test>")
					content := "Subject: first\r\n\r\nfirst" + seq.seq + secondMessage
					n := len(content) - last
					p.send(fmt.Sprintf("BDAT %d\r\n%sBDAT %d LAST\r\n%sQUIT\r\n", n, content[:n], last, content[n:]))
					replies := p.hear()
					var want []message
					if seq.strict || from == "lenient@local.test" {
						want = []message{{from, []string{"u@local.test"}, content}}
					}
					if diff := cmp.Diff(want, d.accepted(), cmp.AllowUnexported(message{})); diff != "" {
						t.Errorf("%q from %s (-want +got):\n%s", seq.seq, from, diff)
					}
					if end := replies[len(replies)-2:]; end[0] != "221 2.0.0 Bye" {
						t.Errorf("%q: the dialogue lost its way: %q", seq.seq, replies)
					}
				})
			}
		}
	}
}

// TestNothingIsSmuggledAfterATimeout lets the time for content run out before, in
// the middle of, and behind the first octets of each sequence.
func TestNothingIsSmuggledAfterATimeout(t *testing.T) {
	for _, seq := range endsOfData {
		for _, verb := range []string{"DATA\r\n", "BDAT 1000 LAST\r\n"} {
			for _, early := range []int{0, 1, len(seq.seq) - 1} { // octets before the time is over
				synctest.Test(t, func(t *testing.T) {
					s, d, _ := newServer()
					c, served, _ := connect(t, s)
					p := newPeer(t, c)
					p.say("EHLO client.test")
					p.send("MAIL FROM:<lenient@local.test>\r\nRCPT TO:<u@local.test>\r\n" + verb + "Subject: first\r\n\r\nfirst" + seq.seq[:early])
					time.Sleep(s.timeout() + lingerTime/2)
					p.send(seq.seq[early:] + secondMessage)
					got := p.hear()
					if n := len(got) - 2; n < 0 || !slices.Equal(got[n:], []string{"421 4.4.2 mx.local.test Error: timeout exceeded", "(closed)"}) {
						t.Errorf("%q after %d octets: %q", seq.seq, early, got)
					}
					<-served
					if len(d.accepted()) > 0 {
						t.Errorf("%q after %d octets: accepted %q", seq.seq, early, d.accepted())
					}
				})
			}
		}
	}
}

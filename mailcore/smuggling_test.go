package mailcore_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/queue"
)

// endsOfData are octets that some server somewhere takes for the end of DATA.
// Ours has one, CRLF dot CRLF, whoever sends it.
var endsOfData = []struct {
	seq   string
	ends  bool
	clean bool // neither a bare CR or LF nor a NUL: a stranger may send it
}{
	{"\r\n.\r\n", true, true},
	{"\r\r\n.\r\n", true, false}, // the true end stands in it
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
	{"\r\n\r.\r\n", false, false},
	{"\r\n. \r\n", false, true},
	{"\r\n .\r\n", false, true},
	{"\r\n..\r\n", false, true},
	{"\r\n\x1a.\r\n", false, true},
	{"\r\n\x0b.\x0b", false, true},
	{"\x85.\x85", false, true},
	{"\u2028.\u2028", false, true},
}

// A wire is a client's end of a connection, for octets that no SMTP client would
// send.
type wire struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// doors are the ways in: a stranger's and a login's, in clear as far as that is
// allowed and under TLS.
var doors = []struct {
	name string
	ours bool
	open func(t *testing.T, lab *mailtest.Lab) *wire
}{
	{"port 25", false, func(t *testing.T, lab *mailtest.Lab) *wire { return dial(t, lab, 25) }},
	{"port 25, STARTTLS", false, func(t *testing.T, lab *mailtest.Lab) *wire { return dial(t, lab, 25).startTLS() }},
	{"port 25, STARTTLS, AUTH", true, func(t *testing.T, lab *mailtest.Lab) *wire { return dial(t, lab, 25).startTLS().login() }},
	{"port 587, STARTTLS, AUTH", true, func(t *testing.T, lab *mailtest.Lab) *wire { return dial(t, lab, 587).startTLS().login() }},
}

func dial(t *testing.T, lab *mailtest.Lab, port uint16) *wire {
	t.Helper()
	w := &wire{t: t, conn: lab.Dial(port)}
	t.Cleanup(func() { w.conn.Close() })
	w.in = bufio.NewReader(w.conn)
	w.reply("220")
	w.say("EHLO client.test", "250")
	return w
}

// startTLS begins TLS for real, with the server's self-signed certificate.
func (w *wire) startTLS() *wire {
	w.t.Helper()
	w.say("STARTTLS", "220")
	w.conn = tls.Client(w.conn, &tls.Config{InsecureSkipVerify: true})
	w.in = bufio.NewReader(w.conn)
	w.say("EHLO client.test", "250")
	return w
}

func (w *wire) login() *wire {
	w.t.Helper()
	w.say("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00wordpress\x00secret")), "235")
	return w
}

func (w *wire) write(octets string) {
	w.t.Helper()
	if _, err := io.WriteString(w.conn, octets); err != nil {
		w.t.Error(err)
	}
}

// say sends a command and checks how the reply begins.
func (w *wire) say(command, want string) {
	w.t.Helper()
	w.write(command + "\r\n")
	w.reply(want)
}

func (w *wire) reply(want string) {
	w.t.Helper()
	for {
		line, err := w.in.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, want) {
			w.t.Fatalf("reply %q, %v; want %s", line, err, want)
		}
		if line[3] != '-' {
			return
		}
	}
}

// rest is what the server says until it closes the connection.
func (w *wire) rest() string {
	text, err := io.ReadAll(w.in)
	if err != nil {
		w.t.Errorf("until the connection closes: %v", err)
	}
	return string(text)
}

// envelope begins a mail transaction.
func (w *wire) envelope() {
	w.t.Helper()
	w.say("MAIL FROM:<a@shop.example>", "250")
	w.say("RCPT TO:<u@shop.example>", "250")
}

// held starts a server that answers for shop.example, keeps all of its mail on
// hold, and knows the login wordpress.
func held(t *testing.T, lab *mailtest.Lab) *mailcore.Server {
	t.Helper()
	srv := lab.Server(mailcore.Config{})
	addSite(t, srv, "shop", "shop.example")
	addLogin(t, srv, "wordpress", "shop", "secret")
	route(t, srv, "shop.example", "hold:for the test")
	return srv
}

// stored returns the senders of what is queued, and empties the queue.
func stored(t *testing.T, srv *mailcore.Server) (senders []string) {
	t.Helper()
	synctest.Wait()
	for e, err := range srv.Queue().Entries(t.Context(), queue.Match{All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		senders = append(senders, e.Envelope.ReversePath)
	}
	if _, err := srv.Queue().Remove(t.Context(), queue.Match{All: true}); err != nil {
		t.Fatal(err)
	}
	return senders
}

// A message whose content goes on, behind each sequence, with the commands of
// another one: the other is a message only behind the true end of data.
func TestNoSecondMessageIsSmuggledIntoTheQueue(t *testing.T) {
	if len(endsOfData) != 22 {
		t.Fatalf("%d sequences", len(endsOfData))
	}
	for _, door := range doors {
		t.Run(door.name, func(t *testing.T) {
			mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
				srv := held(t, lab)
				for _, end := range endsOfData {
					w := door.open(t, lab)
					w.envelope()
					w.say("DATA", "354")
					w.write("Subject: first\r\n\r\nfirst" + end.seq +
						"MAIL FROM:<smuggled@shop.example>\r\nRCPT TO:<u@shop.example>\r\nDATA\r\n" +
						"Subject: second\r\n\r\nsecond\r\n.\r\nQUIT\r\n")
					replies := w.rest()
					var want []string
					if end.clean || door.ours {
						want = append(want, "a@shop.example")
					}
					if end.ends {
						want = append(want, "smuggled@shop.example")
					}
					if diff := cmp.Diff(want, stored(t, srv)); diff != "" {
						t.Errorf("%q: stored (-want +got):\n%s", end.seq, diff)
					}
					if refused := strings.Contains(replies, "550 5.5.2 "); refused != (!end.clean && !door.ours) {
						t.Errorf("%q: replies %q", end.seq, replies)
					}
				}
			})
		})
	}
}

// Ways for a transfer to end in the middle.
var cuts = []struct {
	name string
	cut  func(w *wire)
}{
	{"close", func(w *wire) {
		if c, ok := w.conn.(*tls.Conn); ok {
			w.conn = c.NetConn() // no close_notify: TLS was cut, not ended
		}
		w.conn.Close()
	}},
	{"FIN or close_notify", func(w *wire) { w.conn.(interface{ CloseWrite() error }).CloseWrite() }},
	{"stall", func(w *wire) {
		time.Sleep(6 * time.Minute)
		// The rest of the body would be a message of its own if a server took
		// it for commands. It is too late for that, and for writing.
		io.WriteString(w.conn, "\r\n.\r\nMAIL FROM:<smuggled@shop.example>\r\nRCPT TO:<u@shop.example>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n")
	}},
}

func TestATransferCutInTheMiddleQueuesNothing(t *testing.T) {
	const content = "Subject: cut\r\n\r\ncut\r\n"
	for _, door := range doors {
		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
			srv := held(t, lab)
			for _, cut := range cuts {
				for name, begin := range map[string]string{
					"DATA":                 "DATA\r\n" + content + "more",
					"DATA before the dot":  "DATA\r\n" + content,
					"DATA behind the dot":  "DATA\r\n" + content + ".",
					"DATA but for an LF":   "DATA\r\n" + content + ".\r",
					"BDAT":                 "BDAT 100\r\n" + content,
					"BDAT LAST":            "BDAT 100 LAST\r\n" + content,
					"BDAT between chunks":  fmt.Sprintf("BDAT %d\r\n%s", len(content), content),
					"BDAT LAST of nothing": fmt.Sprintf("BDAT %d\r\n%sBDAT 1 LAST\r\n", len(content), content),
				} {
					w := door.open(t, lab)
					w.envelope()
					w.write(begin)
					synctest.Wait()
					cut.cut(w)
					synctest.Wait()
					if got := stored(t, srv); len(got) > 0 {
						t.Errorf("%s: %s, then %s: stored %q", door.name, name, cut.name, got)
					}
					w.conn.Close()
				}
			}
		})
	}
}

// bodies hold what would end DATA at one server or another, or is not allowed on
// the wire (RFC 5321 section 2.3.8).
var bodies = []string{
	"\r\n.\r\n", "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n.\r", "\r.\n",
	"\r\r\n.\r\n", "\r\n.\r\r\n", "\r\n\x00.\x00\r\n", "\r\n.\r\nend of the body\r",
}

// smuggling is a message with the commands of another behind a sequence.
func smuggling(seq string) string {
	return "Subject: first\r\n\r\nfirst" + seq + "MAIL FROM:<smuggled@shop.example>\r\nRCPT TO:<u@customer.example>\r\nDATA\r\nSubject: second\r\n\r\nsecond" + seq
}

// waysIn are those by which content reaches the queue and says something about
// its own end.
var waysIn = map[string]func(t *testing.T, lab *mailtest.Lab, srv *mailcore.Server, content string){
	"Enqueue": func(t *testing.T, _ *mailtest.Lab, srv *mailcore.Server, content string) {
		m := queue.Message{}
		m.Envelope.ReversePath = "a@shop.example"
		m.Envelope.Recipients = recipients("u@customer.example")
		if _, err := srv.Queue().Enqueue(t.Context(), m, strings.NewReader(content)); err != nil {
			t.Error(err)
		}
	},
	"Submit": func(t *testing.T, _ *mailtest.Lab, srv *mailcore.Server, content string) {
		m := hello("a@shop.example", "u@customer.example")
		m.Content = strings.NewReader(content)
		submit(t, srv, m)
	},
	"DATA": func(t *testing.T, lab *mailtest.Lab, _ *mailcore.Server, content string) {
		w := dial(t, lab, 587).startTLS().login()
		w.say("MAIL FROM:<a@shop.example>", "250")
		w.say("RCPT TO:<u@customer.example>", "250")
		w.say("DATA", "354")
		w.say(strings.ReplaceAll(content, "\r\n.", "\r\n..")+"\r\n.", "250")
		w.conn.Close()
	},
	"BDAT": func(t *testing.T, lab *mailtest.Lab, _ *mailcore.Server, content string) {
		w := dial(t, lab, 587).startTLS().login()
		w.say("MAIL FROM:<a@shop.example>", "250")
		w.say("RCPT TO:<u@customer.example>", "250")
		w.write(fmt.Sprintf("BDAT %d LAST\r\n%s", len(content), content))
		w.reply("250")
		w.conn.Close()
	},
}

func TestNoBareLineEndAndNoNULLeaves(t *testing.T) {
	if len(bodies) != 13 {
		t.Fatalf("%d bodies", len(bodies))
	}
	for way, hand := range waysIn {
		t.Run(way, func(t *testing.T) {
			mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
				tap := listen(t, lab)
				srv := lab.Server(mailcore.Config{})
				addSite(t, srv, "shop", "shop.example")
				addLogin(t, srv, "wordpress", "shop", "secret")
				route(t, srv, "customer.example", "smtp:["+tap.host+"]")
				for _, seq := range bodies {
					hand(t, lab, srv, smuggling(seq))
				}
				lab.Drain(time.Hour)
				if got := tap.messages(); len(got) != len(bodies) {
					t.Errorf("%d messages on the wire, want %d: %q", len(got), len(bodies), got)
				}
				if bad := tap.forbidden(); len(bad) > 0 {
					t.Errorf("on the wire: %q", slices.Compact(bad))
				}
			})
		})
	}
}

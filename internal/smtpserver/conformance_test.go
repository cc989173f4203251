package smtpserver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestKnownFaultsOfOtherServersAreNotOurs has a row for each gap that was found
// in a server in wide use. What needs more than one write is in the tests that
// the comments name.
func TestKnownFaultsOfOtherServersAreNotOurs(t *testing.T) {
	const (
		begin  = "MAIL FROM:<a@remote.test>\r\nRCPT TO:<u@local.test>\r\n"
		data   = "354 End data with <CR><LF>.<CR><LF>"
		mailOK = "250 2.1.0 Ok"
		rcptOK = "250 2.1.5 Ok"
		queued = "250 2.0.0 Ok: queued as ID1"
	)
	for _, tt := range []struct {
		name string
		send string // after EHLO
		want []string
		got  []message
	}{
		{
			name: "S2 a quoted local-part keeps its quotes",
			send: `MAIL FROM:<"a b"@remote.test>` + "\r\n" + `RCPT TO:<"victim@remote.test> X"@local.test>` + "\r\nDATA\r\n.\r\n",
			want: []string{mailOK, rcptOK, data, queued},
			got:  []message{{`"a b"@remote.test`, []string{`"victim@remote.test> X"@local.test`}, ""}},
		},
		{
			name: "S3 CRCRLF before the dot ends DATA", // and a bare CR is refused
			send: begin + "DATA\r\nx\r\r\n.\r\nNOOP\r\n",
			want: []string{mailOK, rcptOK, data, "550 5.5.2 Error: bare <CR> received", "250 2.0.0 Ok"},
		},
		{
			name: "S3 the same from somebody who may",
			send: "MAIL FROM:<lenient@local.test>\r\nRCPT TO:<u@local.test>\r\nDATA\r\nx\r\r\n..y\r\r\n.\r\n",
			want: []string{mailOK, rcptOK, data, queued},
			got:  []message{{"lenient@local.test", []string{"u@local.test"}, "x\r\r\n.y\r\r\n"}},
		},
		{
			name: "S4 dot, CR and something else is content",
			send: "MAIL FROM:<lenient@local.test>\r\nRCPT TO:<u@local.test>\r\nDATA\r\n.\rX\r\n.\r\n",
			want: []string{mailOK, rcptOK, data, queued},
			got:  []message{{"lenient@local.test", []string{"u@local.test"}, "\rX\r\n"}},
		},
		{
			name: "S5 a line of content may be longer than a command",
			send: begin + "DATA\r\n" + strings.Repeat("x", 100_000) + "\r\n.\r\n",
			want: []string{mailOK, rcptOK, data, queued},
			got:  []message{{"a@remote.test", []string{"u@local.test"}, strings.Repeat("x", 100_000) + "\r\n"}},
		},
		{
			name: "S6 a chunk in the packet of its command has no lines",
			send: begin + "BDAT 100000 LAST\r\n" + strings.Repeat("x", 100_000) + "NOOP\r\n",
			want: []string{mailOK, rcptOK, queued, "250 2.0.0 Ok"},
			got:  []message{{"a@remote.test", []string{"u@local.test"}, strings.Repeat("x", 100_000)}},
		}, // cut off: TestContentThatIsCutOffIsNeverAccepted; bad arguments: testdata/dialogues/bdat_bad_*
		{
			name: "S7 RSET between chunks ends Data before the next transaction",
			send: begin + "BDAT 1\r\nxRSET\r\nMAIL FROM:<b@remote.test>\r\nRCPT TO:<u@local.test>\r\nDATA\r\n.\r\n",
			want: []string{mailOK, rcptOK, "250 2.0.0 Ok: 1 octets received", "250 2.0.0 Ok", mailOK, rcptOK, data, queued},
			got:  []message{{"b@remote.test", []string{"u@local.test"}, ""}},
		},
		{
			name: "S8 a second MAIL does not change the reverse-path",
			send: begin + "MAIL FROM:<ceo@remote.test>\r\nDATA\r\n.\r\n",
			want: []string{mailOK, rcptOK, "503 5.5.1 Error: nested MAIL command", data, queued},
			got:  []message{{"a@remote.test", []string{"u@local.test"}, ""}},
		},
		{
			name: "S9 postmaster needs no domain",
			send: "MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nDATA\r\n.\r\n",
			want: []string{mailOK, rcptOK, data, queued},
			got:  []message{{"", []string{"Postmaster"}, ""}},
		},
		{
			name: "S10 domains are checked",
			send: "MAIL FROM:<a@-x>\r\nMAIL FROM:<a@b..c>\r\nMAIL FROM:<a@" + strings.Repeat("x.", 150) + "test>\r\n",
			want: []string{"501 5.1.7 Bad sender address syntax", "501 5.1.7 Bad sender address syntax", "501 5.1.7 Bad sender address syntax"},
		},
		{
			name: "S11 a name with control characters is neither taken nor echoed",
			send: "EHLO \x1b[31m\r\n",
			want: []string{"500 5.5.2 Error: control character in command"},
		}, // S12, S13, S15: server_test.go
		{
			name: "S17 the success text names the message",
			send: begin + "DATA\r\n.\r\n",
			want: []string{mailOK, rcptOK, data, queued},
			got:  []message{{"a@remote.test", []string{"u@local.test"}, ""}},
		},
		{
			name: "S18 a wrapped reply is found, and what wraps it stays here",
			send: "MAIL FROM:<wrapped@local.test>\r\n",
			want: []string{"452 4.3.1 Insufficient system storage"},
		},
		{
			name: "S19 extensions that are not offered have no parameters",
			send: "MAIL FROM:<a@remote.test> MT-PRIORITY=3\r\nMAIL FROM:<a@remote.test> BY=100;R\r\n",
			want: []string{"555 5.5.4 Unsupported option: MT-PRIORITY=3", "555 5.5.4 Unsupported option: BY=100;R"},
		},
		{
			name: "S23 nobody logs in amid a transaction",
			send: begin + "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
			want: []string{mailOK, rcptOK, "503 5.5.1 Error: MAIL transaction in progress"},
		},
		{
			name: "a refused RCPT leaves its BDAT octets content",
			send: "MAIL FROM:<a@remote.test>\r\nRCPT TO:<u@remote.test>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
			want: []string{mailOK, "554 5.7.1 <u@remote.test>: Relay access denied", "554 5.5.1 Error: no valid recipients", "250 2.0.0 Ok"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d, _ := newServer()
				s.AuthWithoutTLS = true
				c, _, _ := connect(t, s)
				p := newPeer(t, c)
				p.say("EHLO client.test")
				go p.send(tt.send)
				if diff := cmp.Diff(tt.want, p.hear()); diff != "" {
					t.Errorf("replies (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tt.got, d.accepted(), cmp.AllowUnexported(message{})); diff != "" {
					t.Errorf("accepted (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestAStalledMessageIsNotServedAsCommands is S1: what comes after the timeout
// would be a complete dialogue.
func TestAStalledMessageIsNotServedAsCommands(t *testing.T) {
	for _, verb := range []string{"DATA\r\n", "BDAT 10000 LAST\r\n"} {
		for _, part := range []string{"", "Subject: x", "Subject: x\r\n\r\n", "Subject: x\r\n\r\nx\r\n."} {
			synctest.Test(t, func(t *testing.T) {
				s, d, _ := newServer()
				c, served, _ := connect(t, s)
				p := newPeer(t, c)
				p.say("EHLO client.test")
				p.send("MAIL FROM:<a@remote.test>\r\nRCPT TO:<u@local.test>\r\n" + verb + part)
				time.Sleep(s.timeout() + lingerTime/2)
				p.send("\r\nRSET\r\nMAIL FROM:<evil@remote.test>\r\nRCPT TO:<u@local.test>\r\nDATA\r\n.\r\n")
				got := p.hear()
				want := []string{"421 4.4.2 mx.local.test Error: timeout exceeded", "(closed)"}
				if n := max(0, len(got)-2); !slices.Equal(got[n:], want) {
					t.Errorf("%q: heard %q", verb+part, got)
				}
				<-served
				if len(d.accepted()) > 0 {
					t.Errorf("%q: accepted %q", verb+part, d.accepted())
				}
			})
		}
	}
}

// ctxHandler keeps the context of the connection.
type ctxHandler struct {
	desk
	ctx context.Context
}

func (h *ctxHandler) NewSession(ctx context.Context, c *Conn) (Session, error) {
	h.ctx = ctx
	return h.desk.NewSession(ctx, c)
}

// TestTheContextOfAConnectionEndsWithIt is S16.
func TestTheContextOfAConnectionEndsWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		h := &ctxHandler{}
		s.Handler = h
		c, served, _ := connect(t, s)
		p := newPeer(t, c)
		p.say("EHLO client.test")
		if err := h.ctx.Err(); err != nil {
			t.Errorf("ended early: %v", err)
		}
		p.say("QUIT")
		<-served
		if h.ctx.Err() == nil {
			t.Error("still alive")
		}
	})
}

// TestEveryFormOfARecipientIsCanonicalOrRefused feeds the forms that relay tests
// use: what gets to the handler has one unquoted @, and the handler's rule for
// the domain sees what a next hop would.
func TestEveryFormOfARecipientIsCanonicalOrRefused(t *testing.T) {
	forms := map[string]string{ // to what the handler is given; "" is refused before
		`<u@remote.test>`:                           `u@remote.test`,
		`u@remote.test`:                             `u@remote.test`,
		`<u%remote.test@local.test>`:                `u%remote.test@local.test`,
		`<u%remote.test>`:                           ``,
		`<u@remote.test@local.test>`:                ``,
		`<u@local.test@remote.test>`:                ``,
		`<@local.test:u@remote.test>`:               ``,
		`<@a.test,@b.test:u@remote.test>`:           ``,
		`<"u@remote.test"@local.test>`:              `"u@remote.test"@local.test`,
		`<"u@remote.test">`:                         ``,
		`<remote.test!u@local.test>`:                `remote.test!u@local.test`,
		`<remote.test!u>`:                           ``,
		`<u@remote.test@[127.0.0.1]>`:               ``,
		`<u@[127.0.0.1]>`:                           `u@[127.0.0.1]`,
		`<u@>`:                                      ``,
		`<u>`:                                       ``,
		`<postmaster>`:                              `postmaster`,
		`<@remote.test>`:                            ``,
		`<u@local.test.>`:                           `u@local.test`,
		`<"u> NOTIFY=NEVER"@local.test>`:            `"u> NOTIFY=NEVER"@local.test`,
		`<a..b@local.test>`:                         ``,
		`<u@local.test> foo`:                        ``,
		`<|/bin/sh@local.test>`:                     `|/bin/sh@local.test`,
		`<../../x@local.test>`:                      ``,
		`<-oQ/tmp@local.test>`:                      `-oQ/tmp@local.test`,
		"<u\r@local.test>":                          ``,
		"<u\x00@local.test>":                        ``,
		"<" + strings.Repeat("u", 257) + "@a.test>": ``,
	}
	synctest.Test(t, func(t *testing.T) {
		s, d, _ := newServer()
		s.MaxErrors, s.SoftErrors = 1000, 1000
		c, _, _ := connect(t, s)
		p := newPeer(t, c)
		p.say("EHLO client.test", "MAIL FROM:<a@remote.test>")
		for form, want := range forms {
			d.events = nil
			replies := p.say("RCPT TO:" + form)
			var events []string
			if want != "" {
				events = []string{fmt.Sprintf("RCPT %q {Notify:0 ORcpt:}", want)}
			}
			if diff := cmp.Diff(events, d.events); diff != "" {
				t.Errorf("%s (-want +got):\n%s", form, diff)
			}
			if want == "" && (len(replies) != 1 || replies[0][0] != '5') {
				t.Errorf("%s: %q", form, replies)
			}
		}
	})
}

package mailcore_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// login connects to the submission listener and logs in, with somebody else's
// client.
func login(t *testing.T, lab *mailtest.Lab, mech sasl.Client) *smtp.Client {
	t.Helper()
	c, err := smtp.NewClientStartTLS(lab.Dial(587), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Auth(mech); err != nil {
		t.Fatal(err)
	}
	return c
}

// send sends a message in one transaction.
func send(c *smtp.Client, from, content string, to ...string) error {
	if err := c.Mail(from, nil); err != nil {
		return err
	}
	for _, r := range to {
		if err := c.Rcpt(r, nil); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, content); err != nil {
		return err
	}
	return w.Close()
}

func addLogin(t *testing.T, srv *mailcore.Server, name, site, password string) {
	t.Helper()
	if err := srv.Sites().AddLogin(t.Context(), sites.Login{Name: name, Site: site}, password); err != nil {
		t.Fatal(err)
	}
}

func code(err error) int {
	var reply *smtp.SMTPError
	if !errors.As(err, &reply) {
		return 0
	}
	return reply.Code
}

func TestALoginSendsAsWhatItOwnsAndNothingElse(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx := lab.Domain("customer.example")
		srv := lab.Server(mailcore.Config{ShowLogin: true})
		addSite(t, srv, "shop", "shop.example")
		addSite(t, srv, "rival", "rival.example")
		addLogin(t, srv, "me@shop.example", "shop", "secret")
		addLogin(t, srv, "wordpress", "shop", "secret2")
		const content = "Subject: x\r\n\r\nx\r\n"
		for _, tt := range []struct {
			mech sasl.Client
			from string
			want int
		}{
			{sasl.NewPlainClient("", "me@shop.example", "secret"), "me@shop.example", 0},
			{sasl.NewPlainClient("", "me@shop.example", "secret"), "boss@shop.example", 553},
			{sasl.NewLoginClient("wordpress", "secret2"), "anybody@shop.example", 0},
			{sasl.NewLoginClient("wordpress", "secret2"), "x@rival.example", 553},
			{sasl.NewLoginClient("wordpress", "secret2"), "x@elsewhere.example", 553},
			{sasl.NewLoginClient("wordpress", "secret2"), "", 0},
		} {
			c := login(t, lab, tt.mech)
			if got := code(send(c, tt.from, content, "u@customer.example")); got != tt.want {
				t.Errorf("%T as %q: %d, want %d", tt.mech, tt.from, got, tt.want)
			}
			c.Close()
		}
		lab.Drain(time.Minute)
		got := mx.Messages()
		if len(got) != 3 {
			t.Fatalf("%d messages, want 3", len(got))
		}
		if !strings.Contains(got[0].Content, "(Authenticated sender: me@shop.example)") {
			t.Errorf("no login in\n%s", got[0].Content)
		}
	})
}

func TestWrongPasswordsAreRefusedAlike(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{})
		addSite(t, srv, "shop", "shop.example")
		addLogin(t, srv, "me@shop.example", "shop", "secret")
		var texts []string
		for _, mech := range []sasl.Client{
			sasl.NewPlainClient("", "me@shop.example", "wrong"),
			sasl.NewPlainClient("", "nobody@shop.example", "secret"),
			sasl.NewPlainClient("boss@shop.example", "me@shop.example", "secret"),
		} {
			c, err := smtp.NewClientStartTLS(lab.Dial(587), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			err = c.Auth(mech)
			if code(err) != 535 {
				t.Errorf("%+v: %v", mech, err)
			}
			texts = append(texts, fmt.Sprint(err))
			c.Close()
		}
		if texts[0] != texts[1] || texts[0] != texts[2] {
			t.Errorf("the refusals differ: %q", texts)
		}
	})
}

func TestAMessageOfTheLimitIsTakenAndOneOctetMoreIsNot(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		const limit = 20_000
		mx := lab.Domain("customer.example")
		srv := lab.Server(mailcore.Config{MessageSize: limit})
		addSite(t, srv, "shop", "shop.example")
		addLogin(t, srv, "wordpress", "shop", "secret")
		c := login(t, lab, sasl.NewPlainClient("", "wordpress", "secret"))
		defer c.Close()
		for over, want := range []int{0, 552} {
			content := "Subject: big\r\n\r\n"
			for len(content) < limit-80 {
				content += strings.Repeat("x", 70) + "\r\n"
			}
			content += strings.Repeat("y", limit-2-len(content)+over) + "\r\n"
			if got := code(send(c, "a@shop.example", content, "u@customer.example")); got != want {
				t.Errorf("%d octets: %d, want %d", len(content), got, want)
			}
			m := mailcore.Message{ReversePath: "a@shop.example", Recipients: []string{"u@customer.example"}, Content: strings.NewReader(content)}
			_, err := srv.Submit(t.Context(), m)
			var reply transport.Reply
			errors.As(err, &reply)
			if reply.Code != want {
				t.Errorf("Submit of %d octets: %v, want %d", len(content), err, want)
			}
		}
		lab.Drain(time.Minute)
		if got := len(mx.Messages()); got != 2 {
			t.Errorf("%d messages, want 2", got)
		}
	})
}

func TestAMessageThatHasTravelledTooFarIsRefused(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{})
		for hops, want := range map[int]int{48: 0, 49: 554} {
			m := hello("a@shop.example", "u@customer.example")
			m.Content = strings.NewReader(strings.Repeat("Received: by x; Sat, 21 Nov 2026 00:00:00 +0000\r\n", hops) + "\r\nx\r\n")
			_, err := srv.Submit(t.Context(), m)
			var reply transport.Reply
			if errors.As(err, &reply); reply.Code != want {
				t.Errorf("%d hops: %v, want %d", hops, err, want)
			}
		}
	})
}

func TestMailOfStrangersWithBareLineFeedsIsRefusedAndOursIsMended(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{})
		addSite(t, srv, "shop", "shop.example")
		route(t, srv, "shop.example", "hold:")
		addLogin(t, srv, "wordpress", "shop", "secret")
		replies := dialogue(t, lab, 25, "EHLO c.test", "MAIL FROM:<x@remote.test>", "RCPT TO:<u@shop.example>", "DATA", "Subject: x\r\n\r\nbare\nfeed\r\n.")
		if got := replies[5]; !strings.HasPrefix(got, "550 5.5.2 ") {
			t.Errorf("bare line feed of a stranger: %s", got)
		}
		if n := queued(t, srv); n != 0 {
			t.Errorf("%d messages queued", n)
		}
		m := hello("a@shop.example", "u@shop.example")
		m.Content = strings.NewReader("Subject: x\n\nlf\ncrlf\r\ncrcrlf\r\r\ncr\rnul\x00.\n")
		id := submit(t, srv, m)
		content, err := srv.Queue().Content(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		defer content.Close()
		text, err := io.ReadAll(content)
		if err != nil {
			t.Fatal(err)
		}
		if want := "\r\n\r\nlf\r\ncrlf\r\ncrcrlf\r\ncr\r\nnul.\r\n"; !strings.HasSuffix(string(text), want) {
			t.Errorf("stored %q, want the end %q", text, want)
		}
	})
}

func TestABackendKeepsTheRulesOfTheDesk(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx := lab.Domain("customer.example")
		srv := lab.Server(mailcore.Config{})
		addSite(t, srv, "shop", "shop.example")
		addLogin(t, srv, "wordpress", "shop", "secret")
		outer := smtp.NewServer(srv.Backend(t.Context()))
		outer.Domain, outer.AllowInsecureAuth, outer.MaxLineLength = "outer.example", true, 128<<10
		l := lab.Listen()
		go outer.Serve(l)
		defer outer.Close()
		dial := func() *smtp.Client {
			t.Helper()
			conn, err := lab.DialAddr(l.Addr())
			if err != nil {
				t.Fatal(err)
			}
			return smtp.NewClient(conn)
		}
		stranger := dial()
		defer stranger.Close()
		if got := code(send(stranger, "x@remote.test", "x", "u@customer.example")); got != 554 {
			t.Errorf("a stranger relays: %d", got)
		}
		ours := dial()
		defer ours.Close()
		if err := ours.Auth(sasl.NewPlainClient("", "wordpress", "secret")); err != nil {
			t.Fatal(err)
		}
		if got := code(ours.Mail("x@elsewhere.example", nil)); got != 553 {
			t.Errorf("a sender of somebody else: %d", got)
		}
		if err := send(ours, "a@shop.example", "Subject: x\r\n\r\nx\r\n", "u@customer.example"); err != nil {
			t.Error(err)
		}
		if err := ours.Mail("a@shop.example", nil); err != nil {
			t.Error(err)
		}
		if got := code(ours.Mail("b@shop.example", nil)); got != 503 {
			t.Errorf("nested MAIL: %d", got)
		}
		lab.Drain(time.Minute)
		if got := len(mx.Messages()); got != 1 {
			t.Errorf("%d messages delivered, want 1", got)
		}
	})
}

package mailcore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dkim"
	"github.com/panelmail/panelmail/internal/smtpserver"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// keyed makes keys of a domain, of our own if no site has it, that sign from now on.
func keyed(t *testing.T, s *Server, own bool, domain string, algorithms ...dkim.Algorithm) {
	t.Helper()
	made, err := s.Sites().GenerateDKIM(t.Context(), sites.DKIMPolicy{Domain: domain, Own: own, Algorithms: algorithms, Every: -1})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, k := range made {
			if _, err := s.Sites().AdvanceDKIM(t.Context(), k, sites.DKIMSighting{Good: 1}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3 * time.Hour)
	}
}

// publishedKeys is a resolver that knows the keys of a server.
type publishedKeys struct{ s *Server }

func (p publishedKeys) LookupTXT(ctx context.Context, name string) ([]string, error) {
	all, err := p.s.Sites().ListDKIM(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, k := range all {
		if strings.EqualFold(k.Name, name) {
			return []string{k.Record}, nil
		}
	}
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

// signatures are those of a message in the queue, as "domain algorithm result".
func signatures(t *testing.T, s *Server, id string) (all []string) {
	t.Helper()
	r, err := s.Queue().Content(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	found, err := dkim.Verify(t.Context(), publishedKeys{s}, r)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		all = append(all, fmt.Sprint(v.Domain, " ", v.Algorithm, " ", v.Result))
	}
	return all
}

// the last message that was stored.
func lastID(t *testing.T, s *Server) (id string) {
	t.Helper()
	for e, err := range s.Queue().Entries(t.Context(), queue.Match{All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		id = e.ID
	}
	return id
}

func TestMailIsSignedForTheDomainOfItsAuthorWhateverTheWayIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTwoSites(t, "")
		keyed(t, s, false, "ours.example", dkim.RSA2048, dkim.Ed25519)
		keyed(t, s, false, "theirs.example", dkim.Ed25519)
		ways := waysIn(s)
		both := []string{"ours.example rsa-sha256 pass", "ours.example ed25519-sha256 pass"}
		for way, hand := range ways {
			for from, want := range map[string][]string{
				"From: me@ours.example\r\n":                     both,
				"From: Me <ME@OURS.EXAMPLE>\r\n":                both,
				"From: me@shop.ours.example\r\n":                both,
				"From: a@ours.example, b@ours.example\r\n":      both,
				"From: me@ours.example, b@customer.example\r\n": nil,
				"From: x@customer.example\r\n":                  nil,
				"":                                              both, // we add it
			} {
				if err := hand(t.Context(), "me@ours.example", from+"Subject: x\r\n\r\nhello\r\n"); err != nil {
					t.Fatalf("%s, %q: %v", way, from, err)
				}
				if diff := cmp.Diff(want, signatures(t, s, lastID(t, s))); diff != "" {
					t.Errorf("%s, %q (-want +got):\n%s", way, from, diff)
				}
			}
		}
		names, err := s.Queue().Signed(t.Context())
		want := []string{"e20000101._domainkey.ours.example", "r20000101._domainkey.ours.example"}
		if diff := cmp.Diff(want, names); diff != "" || err != nil {
			t.Errorf("in use (-want +got):\n%s%v", diff, err)
		}
	})
}

func TestTheKeyOfASiteSignsForNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTwoSites(t, FromOff)
		bob := Identity{Login: "bob@nowhere.example"} // whom the panel knows, and no site
		if err := s.Reload(Config{
			Hostname: "mx.panel.example", Log: s.current().config.Log, FromPolicy: FromOff,
			Authenticator: AuthenticatorFunc(func(context.Context, string, string) (Identity, error) { return bob, nil }),
		}); err != nil {
			t.Fatal(err)
		}
		keyed(t, s, false, "theirs.example", dkim.Ed25519)
		keyed(t, s, true, "panel.example", dkim.Ed25519)
		theirs, panel := []string{"theirs.example ed25519-sha256 pass"}, []string{"panel.example ed25519-sha256 pass"}
		submit := func(site, sender string) func(string) error {
			return func(content string) error {
				_, err := s.Submit(t.Context(), Message{Site: site, ReversePath: sender, Recipients: []string{"u@far.example"}, Content: strings.NewReader(content)})
				return err
			}
		}
		smtp := func(who Identity, trusted bool, sender, to string) func(string) error {
			return func(content string) error {
				d, err := s.current().smtpDraft(t.Context(), who, trusted, transport.Envelope{ReversePath: sender})
				if err != nil {
					return err
				}
				tx := &transaction{desk: s.current(), draft: d, relay: d.ours}
				if err := tx.Rcpt(t.Context(), to, smtpserver.RcptParams{}); err != nil {
					return err
				}
				_, err = tx.Data(t.Context(), strings.NewReader(content))
				return err
			}
		}
		forward := func(content string) error {
			_, err := s.Forward(t.Context(), Message{Site: "theirs", ReversePath: "x@far.example", Recipients: []string{"u@far.example"}, Content: strings.NewReader(content)})
			return err
		}
		for name, c := range map[string]struct {
			hand func(string) error
			from string
			want []string
		}{
			"its own":                             {submit("theirs", "x@theirs.example"), "x@theirs.example", theirs},
			"another site":                        {submit("ours", "me@ours.example"), "x@theirs.example", nil},
			"another site, below its domain":      {submit("ours", "me@ours.example"), "x@sub.theirs.example", nil},
			"the panel":                           {submit("", ""), "x@theirs.example", theirs},
			"the panel, as itself":                {submit("", ""), "root@panel.example", panel},
			"a site, as the panel":                {submit("ours", "me@ours.example"), "root@mx.panel.example", nil},
			"a network that may relay":            {smtp(Identity{}, true, "x@theirs.example", "u@far.example"), "x@theirs.example", theirs},
			"a network, from anywhere":            {smtp(Identity{}, true, "x@far.example", "u@far.example"), "x@theirs.example", nil},
			"a network, as another site":          {smtp(Identity{}, true, "me@ours.example", "u@far.example"), "x@theirs.example", nil},
			"a network, as the panel":             {smtp(Identity{}, true, "x@far.example", "u@far.example"), "root@panel.example", nil},
			"a login of no site, as the panel":    {smtp(bob, false, "bob@nowhere.example", "u@far.example"), "root@panel.example", nil},
			"a login of no site, from nobody":     {smtp(bob, false, "", "u@far.example"), "root@mx.panel.example", nil},
			"a login of no site, as a site":       {smtp(bob, false, "bob@nowhere.example", "u@far.example"), "x@theirs.example", nil},
			"a stranger":                          {smtp(Identity{}, false, "x@theirs.example", "postmaster@theirs.example"), "x@theirs.example", nil},
			"a stranger, whose mail is forwarded": {forward, "x@theirs.example", nil},
		} {
			if err := c.hand("From: " + c.from + "\r\nSubject: x\r\n\r\nhello\r\n"); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if diff := cmp.Diff(c.want, signatures(t, s, lastID(t, s))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

func TestWhatCannotBeSignedIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTwoSites(t, "")
		keyed(t, s, false, "ours.example", dkim.Ed25519)
		for name, c := range map[string]struct {
			content string
			want    transport.Reply
		}{
			"two From":                 {"From: me@ours.example\r\nFrom: me@ours.example\r\n\r\n", transport.Replyf(554, "5.6.0", "Error: message has more than one From field")},
			"a blank before the colon": {"From : me@ours.example\r\n\r\n", transport.Replyf(554, "5.6.0", "Error: malformed message header")},
			"blank lines":              {"From: me@ours.example\r\n\r\n" + strings.Repeat("\r\n", 200_000) + "x", transport.Replyf(554, "5.6.0", "Error: too many blank lines in a row")},
			"a large header":           {"From: me@ours.example\r\nX: " + strings.Repeat("x", 110_000) + "\r\n\r\n", transport.Replyf(552, "5.3.4", "Error: message header too big")},
		} {
			_, err := s.Submit(t.Context(), Message{Site: "ours", ReversePath: "me@ours.example", Recipients: []string{"u@far.example"}, Content: strings.NewReader(c.content)})
			var got transport.Reply
			if !errors.As(err, &got) || got != c.want {
				t.Errorf("%s: %v", name, err)
			}
		}
		torn := io.MultiReader(strings.NewReader("From: me@ours.example\r\n\r\n"+strings.Repeat("x\r\n", 100_000)), errorReader{})
		if _, err := s.Submit(t.Context(), Message{Site: "ours", Recipients: []string{"u@far.example"}, Content: torn}); err == nil {
			t.Error("half a message was stored")
		}
		if n := rows(t, s); n != 0 {
			t.Errorf("%d messages were stored", n)
		}
		synctest.Wait()
		stacks := make([]byte, 4<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		for _, of := range []string{"startSigning", "go-msgauth"} {
			if strings.Contains(string(stacks), of) {
				t.Errorf("goroutines of %s are left of the refusals", of)
			}
		}
	})
}

func TestTheLimitsOnHeadersAreThoseOfWhatWasHandedIn(t *testing.T) {
	const limit, from = 100 << 10, "From: me@ours.example\r\n"
	synctest.Test(t, func(t *testing.T) {
		s := newTwoSites(t, "")
		keyed(t, s, false, "ours.example", dkim.Ed25519)
		padded := func(octets int) string { return from + "X: " + strings.Repeat("x", octets-len(from)-5) + "\r\n" }
		for name, c := range map[string]struct {
			header string
			fits   bool
		}{
			"100 KiB":                 {padded(limit), true},
			"100 KiB without author":  {"X: " + strings.Repeat("x", limit-5) + "\r\n", true},
			"an octet more":           {padded(limit + 1), false},
			"999 fields":              {from + strings.Repeat("X:\r\n", 998), true},
			"1,000 fields":            {from + strings.Repeat("X:\r\n", 999), true},
			"1,000 without an author": {strings.Repeat("X:\r\n", 1000), true},
			"1,001 fields":            {from + strings.Repeat("X:\r\n", 1000), false},
		} {
			id, err := s.Submit(t.Context(), Message{Site: "ours", ReversePath: "me@ours.example", Recipients: []string{"u@far.example"}, Content: strings.NewReader(c.header + "\r\nbody\r\n")})
			var reply transport.Reply
			switch errors.As(err, &reply); {
			case !c.fits && reply.Code != 552:
				t.Errorf("%s: %v", name, err)
			case c.fits && err != nil:
				t.Errorf("%s: %v", name, err)
			case c.fits && strings.Count(content(t, s, id), "DKIM-Signature: ") != 1:
				t.Errorf("%s: not signed", name)
			}
		}
	})
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errors.New("the connection was lost") }

func TestMailForNextHopsThatSignIsNotSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := newTwoSites(t, ""), t.Context()
		keyed(t, s, false, "ours.example", dkim.Ed25519)
		signed := []string{"ours.example ed25519-sha256 pass"}
		for _, err := range []error{
			s.Sites().SetRoutes(ctx, []sites.Route{{Pattern: "far.example", Value: "relay:[Smart.example]:587"}}),
			s.Sites().AddDKIMSigner(ctx, "[smart.example]:587"),
			s.Sites().AddDKIMSigner(ctx, "[smart.example]:587"),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		check := func(want []string, to ...string) {
			t.Helper()
			id, err := s.Submit(ctx, Message{Site: "ours", ReversePath: "me@ours.example", Recipients: to, Content: strings.NewReader("Subject: x\r\n\r\n")})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, signatures(t, s, id)); diff != "" {
				t.Errorf("to %v (-want +got):\n%s", to, diff)
			}
		}
		check(nil, "a@far.example", "b@far.example")
		check(signed, "a@far.example", "b@near.example")
		check(signed, "b@near.example")
		if list, err := s.Sites().ListDKIMSigners(ctx); err != nil || !cmp.Equal(list, []string{"[smart.example]:587"}) {
			t.Errorf("they are %q, %v", list, err)
		}
		if err := s.Sites().RemoveDKIMSigner(ctx, "[smart.example]:587"); err != nil {
			t.Fatal(err)
		}
		check(signed, "a@far.example")
	})
}

func TestALargeMessageIsSignedAsItStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTwoSites(t, "")
		keyed(t, s, false, "ours.example", dkim.Ed25519)
		body := strings.NewReader(strings.Repeat("one line of a long message\n", 3<<20/27))
		id, err := s.Submit(t.Context(), Message{Site: "ours", ReversePath: "me@ours.example", Recipients: []string{"u@far.example"},
			Content: io.MultiReader(strings.NewReader("Subject: x\n\n"), body)})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"ours.example ed25519-sha256 pass"}, signatures(t, s, id)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestABounceIsSignedWithTheKeyOfOurOwnDomain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTwoSites(t, "")
		keyed(t, s, true, "panel.example", dkim.RSA2048)
		keyed(t, s, false, "ours.example", dkim.Ed25519)
		ctx, cancel := context.WithCancel(t.Context())
		if err := s.Sites().SetRoutes(ctx, []sites.Route{
			{Pattern: "far.example", Value: "error:5.1.1 no such user"}, {Pattern: "ours.example", Value: "hold:"},
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Submit(ctx, Message{Site: "ours", ReversePath: "me@ours.example", Recipients: []string{"u@far.example"}, Content: strings.NewReader("Subject: x\r\n\r\n")}); err != nil {
			t.Fatal(err)
		}
		ran := make(chan error, 1)
		go func() { ran <- s.queue.Run(ctx, s.dispatcher) }()
		time.Sleep(time.Minute)
		cancel()
		if err := <-ran; err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"panel.example rsa-sha256 pass"}, bounceSignatures(t, s)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestASiteAboveTheHostNameSignsNoReportUnlessItIsOurOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTwoSites(t, "")
		if err := s.Sites().AddDomain(t.Context(), sites.Domain{Name: "panel.example", Site: "theirs", Class: sites.Hosted}); err != nil {
			t.Fatal(err)
		}
		check := func(want ...string) {
			t.Helper()
			_, signed, err := s.signReport(t.Context(), []byte("From: MAILER-DAEMON@mx.panel.example\r\n\r\nx\r\n"))
			if diff := cmp.Diff(want, signed); diff != "" || err != nil {
				t.Errorf("(-want +got):\n%s%v", diff, err)
			}
		}
		keyed(t, s, false, "panel.example", dkim.Ed25519)
		check()
		keyed(t, s, true, "panel.example", dkim.Ed25519)
		check("e20000101._domainkey.panel.example")
		keyed(t, s, false, "panel.example", dkim.Ed25519)
		check()
		keyed(t, s, true, "mx.panel.example", dkim.Ed25519)
		check("e20000101._domainkey.mx.panel.example")
	})
}

// bounceSignatures are those of the only message in the queue.
func bounceSignatures(t *testing.T, s *Server) []string {
	t.Helper()
	if n := rows(t, s); n != 1 {
		t.Fatalf("%d messages in the queue", n)
	}
	return signatures(t, s, lastID(t, s))
}

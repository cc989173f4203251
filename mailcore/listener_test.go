package mailcore_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/memnet"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/transport"
)

// behind runs a server with one listener, in a bubble, for as long as f.
func behind(t *testing.T, config mailcore.Config, l mailcore.Listener, f func(srv *mailcore.Server, dial func() *caller)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network, at := memnet.New(), netip.MustParseAddrPort("198.51.100.1:25")
		listener, err := network.Listen(at)
		if err != nil {
			t.Fatal(err)
		}
		config.Hostname, config.Network, config.Poll = "mail.panel.test", network, -1
		config.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
		srv, err := mailcore.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), config)
		if err != nil {
			t.Fatal(err)
		}
		l.Listener = listener
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- srv.Run(ctx, l) }()
		from := netip.MustParseAddr("192.0.2.1")
		network.AddLocal(from)
		f(srv, func() *caller {
			t.Helper()
			c, err := network.Dial(t.Context(), from, at)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			return newCaller(t, c)
		})
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A caller is a client.
type caller struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func newCaller(t *testing.T, c net.Conn) *caller { return &caller{t, c, bufio.NewReader(c)} }

// say sends lines and returns what is said until there is silence.
func (c *caller) say(lines ...string) (heard []string) {
	c.t.Helper()
	for _, line := range lines {
		fmt.Fprintf(c.conn, "%s\r\n", line)
	}
	for {
		c.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.conn.SetReadDeadline(time.Time{})
			return heard
		}
		heard = append(heard, strings.TrimSpace(line))
	}
}

// startTLS shakes hands and returns the serial number of the server's certificate.
func (c *caller) startTLS(config *tls.Config) (serial int64, err error) {
	config.InsecureSkipVerify = true
	over := tls.Client(c.conn, config)
	if err := over.Handshake(); err != nil {
		return 0, err
	}
	c.conn, c.r = over, bufio.NewReader(over)
	return over.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

func TestTLSIsOfferedOrDemandedAsTheListenerSays(t *testing.T) {
	const (
		needTLS = "530 5.7.0 Must issue a STARTTLS command first"
		needPW  = "530 5.7.0 Authentication required"
		noAUTH  = "538 5.7.11 Encryption required for requested authentication mechanism"
		wrong   = "535 5.7.8 Error: authentication failed"
		fine    = "250 2.1.0 Ok"
	)
	for _, tt := range []struct {
		listener   mailcore.Listener
		offered    bool
		mail, auth string // in the clear
	}{
		{mailcore.Listener{Kind: mailcore.SMTP}, true, fine, noAUTH},
		{mailcore.Listener{Kind: mailcore.SMTP, TLSLevel: transport.TLSMay}, true, fine, noAUTH},
		{mailcore.Listener{Kind: mailcore.SMTP, TLSLevel: transport.TLSNone}, false, fine, noAUTH},
		{mailcore.Listener{Kind: mailcore.SMTP, TLSLevel: transport.TLSEncrypt}, true, needTLS, needTLS},
		{mailcore.Listener{Kind: mailcore.SMTP, ClearAuth: true}, true, fine, wrong},
		{mailcore.Listener{Kind: mailcore.Submission}, true, needTLS, needTLS},
		{mailcore.Listener{Kind: mailcore.Submission, TLSLevel: transport.TLSMay}, true, needPW, noAUTH},
	} {
		t.Run(fmt.Sprintf("%v %s %v", tt.listener.Kind, tt.listener.TLSLevel, tt.listener.ClearAuth), func(t *testing.T) {
			behind(t, mailcore.Config{}, tt.listener, func(_ *mailcore.Server, dial func() *caller) {
				c := dial()
				if got := c.say("EHLO c.test"); slices.Contains(got, "250-STARTTLS") != tt.offered ||
					slices.Contains(got, "250-AUTH PLAIN LOGIN") != tt.listener.ClearAuth {
					t.Errorf("offered: %q", got)
				}
				got := []string{last(c.say("AUTH PLAIN AHgAeA==")), last(c.say("MAIL FROM:<>"))}
				if diff := cmp.Diff([]string{tt.auth, tt.mail}, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func last(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[len(lines)-1]
}

func TestAListenerThatMakesNoSenseIsRefused(t *testing.T) {
	door, err := memnet.New().Listen(netip.MustParseAddrPort("198.51.100.1:25"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		listener mailcore.Listener
		want     string
	}{
		{mailcore.Listener{Kind: 9}, "mailcore: listener of unknown kind 9"},
		{mailcore.Listener{Kind: mailcore.SMTP}, "mailcore: smtp listener is nil"},
		{mailcore.Listener{Kind: mailcore.SMTP, TLSLevel: "secure", Proxy: []netip.Prefix{{}}},
			"mailcore: smtp listener is nil\nmailcore: smtp listener with TLSLevel \"secure\": want none, may or encrypt\n" +
				"mailcore: smtp listener with a network in Proxy that is not valid"},
		{mailcore.Listener{Kind: mailcore.Submission, Listener: door, TLSLevel: transport.TLSNone},
			"mailcore: submission listener without TLS: nobody could log in"},
		{mailcore.Listener{Kind: mailcore.Submissions, Listener: door, TLSLevel: transport.TLSMay, ClearAuth: true},
			"mailcore: submissions listener with TLSLevel \"may\": it begins with TLS\n" +
				"mailcore: submissions listener with ClearAuth: logging in needs TLS"},
		{mailcore.Listener{Kind: mailcore.Sendmail, Listener: door, TLS: &tls.Config{}},
			"mailcore: sendmail listener with Proxy, TLS or TLSLevel: it is a Unix socket"},
	} {
		srv, err := mailcore.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), mailcore.Config{Hostname: "mail.panel.test"})
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.Run(t.Context(), tt.listener); err == nil || err.Error() != tt.want {
			t.Errorf("%v, want %s", err, tt.want)
		}
		srv.Close()
	}
}

func TestVersionsBeforeTLS12AreNotSpoken(t *testing.T) {
	dir := t.TempDir()
	writePair(t, filesIn(dir, "old"), 1, ecdsaKey(t), "mail.panel.test")
	pair, err := tls.LoadX509KeyPair(filesIn(dir, "old").Certificate, filesIn(dir, "old").Key)
	if err != nil {
		t.Fatal(err)
	}
	lax := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS10}
	for name, doors := range map[string]struct {
		config   mailcore.Config
		listener mailcore.Listener
	}{
		"of the configuration": {mailcore.Config{TLS: lax}, mailcore.Listener{Kind: mailcore.Submissions}},
		"of the listener":      {mailcore.Config{}, mailcore.Listener{Kind: mailcore.Submissions, TLS: lax}},
	} {
		t.Run(name, func(t *testing.T) {
			behind(t, doors.config, doors.listener, func(_ *mailcore.Server, dial func() *caller) {
				for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
					serial, err := dial().startTLS(&tls.Config{MinVersion: version, MaxVersion: version})
					if got := err == nil && serial == 1; got != want {
						t.Errorf("%s: spoken: %v, %v", tls.VersionName(version), got, err)
					}
				}
			})
		})
	}
}

func TestTheGreetingHasNoVersionAndCanBeChosen(t *testing.T) {
	for greeting, want := range map[string]string{"": "220 mail.panel.test ESMTP", "ESMTP no spam": "220 mail.panel.test ESMTP no spam"} {
		behind(t, mailcore.Config{Greeting: greeting}, mailcore.Listener{Kind: mailcore.SMTP}, func(_ *mailcore.Server, dial func() *caller) {
			got := dial().say("HELO c.test")
			if diff := cmp.Diff([]string{want, "250 mail.panel.test"}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, greeting := range []string{"two\r\nlines", "gr\u00fc\u00df", strings.Repeat("x", 401)} {
		if err := (mailcore.Config{Hostname: "mail.panel.test", Greeting: greeting}).Check(); err == nil {
			t.Errorf("%.20q is fine", greeting)
		}
	}
}

// TestTheClientBehindAProxyIsWhoTheProxySays has a proxy in a network that may not
// relay, and clients of it.
func TestTheClientBehindAProxyIsWhoTheProxySays(t *testing.T) {
	config := mailcore.Config{RelayNetworks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}
	for _, tt := range []struct {
		proxies string
		header  string
		want    string
	}{
		{"192.0.2.0/24", "PROXY TCP4 203.0.113.7 198.51.100.1 40000 25", "250 2.1.5 Ok"},
		{"192.0.2.0/24", "PROXY TCP4 203.0.114.7 198.51.100.1 40000 25", "554 5.7.1 <u@elsewhere.test>: Relay access denied"},
		{"10.0.0.0/8", "PROXY TCP4 203.0.113.7 198.51.100.1 40000 25", "554 5.7.1 <u@elsewhere.test>: Relay access denied"},
	} {
		l := mailcore.Listener{Kind: mailcore.SMTP, Proxy: []netip.Prefix{netip.MustParsePrefix(tt.proxies)}}
		behind(t, config, l, func(_ *mailcore.Server, dial func() *caller) {
			got := dial().say(tt.header, "EHLO c.test", "MAIL FROM:<a@shop.test>", "RCPT TO:<u@elsewhere.test>")
			if last(got) != tt.want {
				t.Errorf("%s from %s: %q", tt.header, tt.proxies, got)
			}
		})
	}
}

// TestACertificateIsReplacedUnderOpenConnections has a message under way meanwhile.
func TestACertificateIsReplacedUnderOpenConnections(t *testing.T) {
	files := filesIn(t.TempDir(), "mail")
	writePair(t, files, 1, ecdsaKey(t), "mail.panel.test")
	certificates, err := mailcore.LoadCertificates(files)
	if err != nil {
		t.Fatal(err)
	}
	config := mailcore.Config{TLS: certificates.TLS()}
	behind(t, config, mailcore.Listener{Kind: mailcore.SMTP}, func(_ *mailcore.Server, dial func() *caller) {
		open := dial()
		open.say("EHLO c.test", "STARTTLS")
		if serial, err := open.startTLS(&tls.Config{}); serial != 1 || err != nil {
			t.Fatalf("certificate %d, %v", serial, err)
		}
		open.say("EHLO c.test", "MAIL FROM:<>", "RCPT TO:<postmaster>", "DATA", "Subject: half")
		writePair(t, files, 2, ecdsaKey(t), "mail.panel.test")
		if err := certificates.Reload(); err != nil {
			t.Fatal(err)
		}
		next := dial()
		next.say("EHLO c.test", "STARTTLS")
		if serial, err := next.startTLS(&tls.Config{}); serial != 2 || err != nil {
			t.Errorf("a new connection has certificate %d, %v", serial, err)
		}
		if got := last(open.say(".")); !strings.HasPrefix(got, "250 2.0.0 Ok: queued as ") {
			t.Errorf("the open connection hears %q", got)
		}
	})
}

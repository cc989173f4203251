package interop_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/internal/interop"
)

// A shop is a panel with TLS that clients can trust and with a listener that
// begins with TLS, to which real mail clients submit. They run at the same time.
type shop struct {
	*panel
	ca          string // file
	submissions string
	files       string            // directory of the messages
	sent        map[string]string // files by the value of X-Test
}

func newShop(t *testing.T) *shop {
	t.Helper()
	dir := t.TempDir()
	certificate, err := interop.NewCertificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{ca: filepath.Join(dir, "ca.pem"), submissions: freePort(t), files: dir, sent: map[string]string{}}
	for name, text := range map[string][]byte{"ca.pem": certificate.Cert, "key.pem": certificate.Key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.panel = newPanel(t, `listen.submissions = "`+s.submissions+`"`, `tls.certificate = "`+s.ca+`"`, `tls.key = "`+filepath.Join(dir, "key.pem")+`"`)
	return s
}

// file is where a message with a name is or comes to be.
func (s *shop) file(name string) string {
	path := filepath.Join(s.files, name)
	s.sent[name] = path
	return path
}

// letter writes a message that has all it needs, with content that clients and
// servers have been known to spoil.
func (s *shop) letter(t *testing.T, name string) string {
	t.Helper()
	text := "From: =?utf-8?q?J=C3=BCrgen?= <me@shop.example>\nTo: you@example.org\nSubject: a test\nDate: Sat, 21 Nov 2026 08:00:00 +0000\n" +
		"Message-ID: <" + name + "@client.example>\nX-Test: " + name + "\nMIME-Version: 1.0\n" +
		"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" +
		"Grüße\n.dot\n..dots\n.\nFrom here\ntrailing blanks \t \n\n" + strings.Repeat("x", 990) + "\n\nend\n"
	path := s.file(name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// crlf is text with the line ends of the wire.
func crlf(text []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

// ways are the kinds of TLS and mechanisms, with the port for each.
func (s *shop) ways(mechanisms ...string) (all [][3]string) {
	for _, mechanism := range mechanisms {
		all = append(all, [3]string{"starttls", portOf(s.submission), mechanism}, [3]string{"implicit", portOf(s.submissions), mechanism})
	}
	return all
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// A client is how a program is run, once.
type client struct {
	name    string
	command []string
	stdin   string // a file; "" for none
}

func (s *shop) swaks(t *testing.T) (all []client) {
	program := interop.Need(t, "swaks")
	for i, options := range [][]string{
		{"--tls", "--auth", "PLAIN"}, {"--tls", "--auth", "LOGIN"}, {"--tls", "--auth"},
		{"--tls-optional", "--auth-optional", "PLAIN"}, {"--tls-optional-strict", "--auth-optional-strict", "LOGIN"},
		{"--tls", "--tls-protocol", "tlsv1_2", "--tls-verify", "--tls-ca-path", s.ca, "--auth"},
		{"--tls", "--tls-protocol", "tlsv1_3", "--auth", "PLAIN", "--pipeline"},
		{"--tls-on-connect", "--auth", "PLAIN"}, {"--tls-on-connect", "--auth", "LOGIN"},
	} {
		server := s.submission
		if options[0] == "--tls-on-connect" {
			server = s.submissions
		}
		name := fmt.Sprintf("swaks%d", i)
		command := append([]string{program, "--server", server, "--auth-user", "me@shop.example", "--auth-password", "secret",
			"--from", "me@shop.example", "--to", "you@example.org", "--data", "@" + s.letter(t, name)}, options...)
		all = append(all, client{name: name, command: command})
	}
	return all
}

func (s *shop) msmtp(t *testing.T) (all []client) {
	program := interop.Need(t, "msmtp")
	for _, way := range s.ways("plain", "login") {
		starttls := "on"
		if way[0] == "implicit" {
			starttls = "off"
		}
		name := "msmtp-" + way[0] + "-" + way[2]
		all = append(all, client{name: name, stdin: s.letter(t, name), command: []string{program, "--host=127.0.0.1", "--port=" + way[1], "--tls=on",
			"--tls-starttls=" + starttls, "--tls-trust-file=" + s.ca, "--auth=" + way[2], "--user=me@shop.example", "--passwordeval=echo secret",
			"--from=me@shop.example", "--", "you@example.org"}})
	}
	return all
}

// script is a client that sends several messages; prepare makes the file of each.
func (s *shop) script(name string, command, mechanisms []string, prepare func(name string) string) client {
	command = append(command, "me@shop.example", "secret")
	for _, way := range s.ways(mechanisms...) {
		command = append(command, way[0], way[1], way[2], prepare(name+"-"+way[0]+"-"+way[2]))
	}
	return client{name: name, command: command}
}

func TestRealClientsSendAndTheirMessagesArriveWhole(t *testing.T) {
	python, php := interop.Need(t, "python3"), interop.Need(t, "php")
	interop.NeedFile(t, "/usr/share/php/libphp-phpmailer/autoload.php")
	interop.NeedFile(t, "/usr/share/php/Symfony/Component/Mailer/autoload.php")
	s := newShop(t)
	trusting := []string{php, "-d", "openssl.cafile=" + s.ca}
	clients := append(s.swaks(t), s.msmtp(t)...)
	clients = append(clients,
		s.script("smtplib", []string{python, "testdata/submit.py", s.ca}, []string{"any", "PLAIN", "LOGIN"}, func(name string) string { return s.letter(t, name) }),
		s.script("phpmailer", slices.Concat(trusting, []string{"testdata/phpmailer.php"}), []string{"any", "PLAIN", "LOGIN"}, s.file),
		s.script("symfony", slices.Concat(trusting, []string{"testdata/symfony.php"}), []string{"any"}, s.file))
	t.Run("clients", func(t *testing.T) {
		for _, c := range clients {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t)
			})
		}
		for _, chunks := range []bool{false, true} {
			name := fmt.Sprintf("thunderbird-%v", chunks)
			content, err := os.ReadFile(s.letter(t, name))
			if err != nil {
				t.Fatal(err)
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s.thunderbird(t, crlf(content), chunks)
			})
		}
	})
	if t.Failed() {
		return
	}
	s.arrivesWhole(t)
}

func (c client) run(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), c.command[0], c.command[1:]...)
	cmd.Env = append(os.Environ(), "HOME=/nonexistent")
	if c.stdin != "" {
		f, err := os.Open(c.stdin)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.Stdin = f
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// thunderbird is a dialogue in the order and the words of that program, but that
// it never says BDAT.
func (s *shop) thunderbird(t *testing.T, content []byte, chunks bool) {
	conn, err := net.Dial("tcp", s.submission)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { conn.Close() }()
	r := bufio.NewReader(conn)
	say := func(text, want string) (reply string) {
		t.Helper()
		if _, err := fmt.Fprint(conn, text); err != nil {
			t.Fatal(err)
		}
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("%.40q: %v", text, err)
			}
			if reply += line; len(line) > 3 && line[3] != '-' {
				break
			}
		}
		if !strings.HasPrefix(reply, want) {
			t.Fatalf("%.40q: %s, want %s", text, reply, want)
		}
		return reply
	}
	say("", "220 panelmail.test ESMTP")
	say("EHLO [192.0.2.1]\r\n", "250")
	say("STARTTLS\r\n", "220")
	certificate, err := os.ReadFile(s.ca)
	if err != nil {
		t.Fatal(err)
	}
	secured := tls.Client(conn, &tls.Config{ServerName: "127.0.0.1", RootCAs: interop.Certificate{Cert: certificate}.Pool()})
	conn, r = secured, bufio.NewReader(secured)
	offers := say("EHLO [192.0.2.1]\r\n", "250")
	for _, want := range []string{"SIZE ", "AUTH PLAIN LOGIN", "8BITMIME", "CHUNKING"} {
		if !strings.Contains(offers, want) {
			t.Errorf("no %s in %s", want, offers)
		}
	}
	say(authPlain("me@shop.example", "secret")+"\r\n", "235")
	say(fmt.Sprintf("MAIL FROM:<me@shop.example> BODY=8BITMIME SIZE=%d\r\n", len(content)), "250")
	say("RCPT TO:<you@example.org>\r\n", "250")
	if chunks {
		half := len(content) / 2
		say(fmt.Sprintf("BDAT %d\r\n%s", half, content[:half]), "250")
		say(fmt.Sprintf("BDAT %d LAST\r\n%s", len(content)-half, content[half:]), "250 2.0.0 Ok: queued as")
	} else {
		say("DATA\r\n", "354")
		say(string(interop.Stuffed(content)), "250 2.0.0 Ok: queued as")
	}
	say("QUIT\r\n", "221")
}

// firstDifference shows where two contents part; "" if they do not.
func firstDifference(want, got []byte) string {
	if bytes.Equal(want, got) {
		return ""
	}
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	from := max(0, at-40)
	return fmt.Sprintf("%d octets sent, %d arrived, from octet %d on %.80q, not %.80q", len(want), len(got), from, got[from:], want[from:])
}

// arrivesWhole compares what was sent with what arrived, octet by octet: our own
// trace field comes first, and no other octet is ours. Some clients add an empty
// line at the end, or leave one out.
func (s *shop) arrivesWhole(t *testing.T) {
	t.Helper()
	trace := regexp.MustCompile(`^Received: [^\r\n]+\r\n(?:[ \t][^\r\n]+\r\n)*`)
	name := regexp.MustCompile(`\r\nX-Test: (\S+)\r\n`)
	arrived := map[string]bool{}
	for _, m := range s.arrives(t, len(s.sent)) {
		content := bytes.TrimRight(m.Content(), "\r\n")
		found := name.FindSubmatch(content)
		if found == nil {
			t.Errorf("no X-Test in\n%s", content)
			continue
		}
		which := string(found[1])
		want, err := os.ReadFile(s.sent[which])
		if err != nil {
			t.Errorf("%s: %v", which, err)
			continue
		}
		field := trace.Find(content)
		if difference := firstDifference(bytes.TrimRight(crlf(want), "\r\n"), content[len(field):]); field == nil || difference != "" || arrived[which] {
			t.Errorf("%s: trace %q, arrived before: %v, %s", which, field, arrived[which], difference)
		}
		arrived[which] = true
	}
	if len(arrived) != len(s.sent) {
		t.Errorf("%d messages of %d arrived", len(arrived), len(s.sent))
	}
}

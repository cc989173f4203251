package srs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/interop"
)

// judged is how many senders other implementations are asked about.
const judged = 10_000

// mailSRS answers lines with the method, the clock, the secret, the separator, the
// length of hashes and an address, divided by tabs.
const mailSRS = `
use strict; use warnings;
our $now = 0;
BEGIN { *CORE::GLOBAL::time = sub { $now } }
use Mail::SRS;
$SIG{__WARN__} = sub { warn @_ unless $_[0] =~ /smashed case/ };
my %made;
while (<STDIN>) {
	chomp;
	my ($method, $secret, $separator, $length, $address);
	($method, $now, $secret, $separator, $length, $address) = split /\t/;
	my $srs = $made{"$secret $separator $length"} ||= Mail::SRS->new(
		Secret => $secret, Separator => $separator, HashLength => $length);
	my $answer = eval { $method eq "forward" ? $srs->forward($address, "fwd.example.net") : $srs->reverse($address) };
	print defined $answer ? $answer : "", "\n";
}
`

// senders makes addresses of other hosts, every fifth one of which some forwarder
// has rewritten before. None is quoted: see the manual of this package.
func senders(random *rand.Rand, n int) []string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	word := func(alphabet string, most int) string {
		b := make([]byte, 1+random.IntN(most))
		for i := range b {
			b[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(b)
	}
	host := func() string { return word(letters, 12) + "." + word(letters, 8) + ".test" }
	all := make([]string, n)
	for i := range all {
		local := word(letters+"!#$%&'*+-/=?^_{|}~", 30)
		if random.IntN(3) == 0 {
			local += "." + word(letters, 5)
		}
		separator := string("=+-"[random.IntN(3)])
		switch random.IntN(10) {
		case 0:
			local = "SRS0" + separator + "HHHH=TT=" + host() + "=" + local
		case 1:
			local = "srs1" + separator + "HHHH=" + host() + "=" + separator + "HHHH=TT=" + host() + "=" + local
		}
		all[i] = local + "@" + host()
	}
	return all
}

func TestTenThousandSendersAreRewrittenAsByMailSRS(t *testing.T) {
	interop.NeedTime(t)
	perl := interop.Need(t, "perl")
	interop.NeedFile(t, "/usr/share/perl5/Mail/SRS.pm")
	random := rand.New(rand.NewPCG(2026, 9))
	var questions bytes.Buffer
	var ours []string
	for i, sender := range senders(random, judged) {
		secret := fmt.Sprintf("s%d-%s", i%7, strings.Repeat("x", i%90))
		r := newRewriter(t, secret)
		r.Separator, r.HashLength = "=+-"[i%3], 4+i%24
		now := newYear.Add(time.Duration(random.Int64N(int64(3000 * day))))
		a, err := r.forwardAt(now, sender)
		if err != nil {
			t.Fatalf("%s: %v", sender, err)
		}
		later := now.Add(time.Duration(random.Int64N(int64(30 * day))))
		back, _ := r.reverseAt(later, a) // "" for what has expired, as in the program above
		ours = append(ours, a, back)
		ask := func(method string, now time.Time, address string) {
			fmt.Fprintf(&questions, "%s\t%d\t%s\t%c\t%d\t%s\n", method, now.Unix(), secret, r.Separator, r.HashLength, address)
		}
		ask("forward", now, sender)
		ask("reverse", later, a)
	}
	cmd := exec.CommandContext(t.Context(), perl, "-e", mailSRS)
	cmd.Stdin, cmd.Stderr = &questions, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	theirs := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("(-theirs +ours)\n%.4000s", diff)
	}
}

func TestTenThousandSendersAreRewrittenAsByPostsrsd(t *testing.T) {
	interop.NeedTime(t)
	d := startPostsrsd(t, "tops3cr3t\nolder\n")
	r := newRewriter(t, "tops3cr3t", "older")
	older := newRewriter(t, "older")
	for { // once more if midnight passed meanwhile
		began := slot(time.Now())
		var ours []string
		var forward, reverse []string
		for i, sender := range senders(rand.New(rand.NewPCG(2026, 10)), judged) {
			a, err := r.Forward(sender)
			if err != nil {
				t.Fatalf("%s: %v", sender, err)
			}
			forward, ours = append(forward, sender), append(ours, a)
			if i%2 == 0 {
				a, _ = older.Forward(sender)
			}
			if i%10 == 1 {
				a = strings.Replace(a, "=", "=x", 1) // forged
			}
			reverse = append(reverse, a)
		}
		for _, a := range reverse {
			back, _ := r.Reverse(a)
			ours = append(ours, back)
		}
		theirs := append(d.ask(t, d.forward, forward), d.ask(t, d.reverse, reverse)...)
		if slot(time.Now()) != began {
			continue
		}
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("(-theirs +ours)\n%.4000s", diff)
		}
		return
	}
}

// A postsrsd is one that runs, for hashes of eight characters.
type postsrsd struct{ forward, reverse string } // where it answers

func startPostsrsd(t *testing.T, secrets string) postsrsd {
	t.Helper()
	program := interop.Need(t, "postsrsd")
	file := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(file, []byte(secrets), 0o600); err != nil {
		t.Fatal(err)
	}
	var d postsrsd
	var ports []string
	for _, addr := range []*string{&d.forward, &d.reverse} {
		free, err := interop.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		_, port, err := net.SplitHostPort(free)
		if err != nil {
			t.Fatal(err)
		}
		*addr, ports = free, append(ports, port)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, program, "-4", "-s"+file, "-dfwd.example.net", "-n8", "-N8", "-l127.0.0.1", "-f"+ports[0], "-r"+ports[1])
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
	})
	return d
}

// ask puts one question after the other, as Postfix does (tcp_table(5)), and returns
// the answers, "" where there is none.
func (d postsrsd) ask(t *testing.T, addr string, addresses []string) (answers []string) {
	t.Helper()
	conn := dial(t, addr)
	defer conn.Close()
	written := make(chan error, 1)
	go func() {
		var err error
		for _, a := range addresses {
			_, wrong := io.WriteString(conn, "get "+url.PathEscape(a)+"\n")
			err = errors.Join(err, wrong)
		}
		written <- err
	}()
	in := bufio.NewReader(conn)
	for range addresses {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		answer, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "200 ")
		if !found {
			answer = ""
		}
		if answer, err = url.PathUnescape(answer); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answer)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	return answers
}

// dial connects to a program that is just starting.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	for began := time.Now(); ; {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.SetDeadline(time.Now().Add(time.Minute))
			return conn
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal(err)
		}
	}
}

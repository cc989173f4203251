package mailcore_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
)

var (
	malformedSessions = flag.Int("malformed", 10_000, "how many malformed sessions are played")
	malformedSeed     = flag.Uint64("malformedseed", 1, "what they are made from")
)

// maxGrowth is how much more memory the process may have after the sessions.
const maxGrowth = 16 << 20

// A verdict is what became of a server that malformed sessions were played with.
type verdict struct {
	sessions, queued, loggedIn int
	grown                      int // octets of memory
	codes                      map[string]int
	problems                   []string
}

// TestMalformedSessionsHurtNothing plays thousands of them: nothing panics, not even
// where it would be recovered, and no goroutine, file or memory is left behind.
func TestMalformedSessionsHurtNothing(t *testing.T) {
	n := *malformedSessions
	if testing.Short() {
		n = min(n, 1000)
	}
	v := playMalformed(t, n, *malformedSeed, checkLogin)
	t.Logf("sessions=%d seed=%d queued=%d logged_in=%d codes=%v grown=%d problems=%d",
		v.sessions, *malformedSeed, v.queued, v.loggedIn, v.codes, v.grown, len(v.problems))
	for i, p := range v.problems {
		if i < 10 {
			t.Error(p)
		}
	}
	// Otherwise the sessions do not get far enough to find anything.
	if v.queued < n/20 || v.loggedIn < n/50 || len(v.codes) < 15 {
		t.Errorf("%d queued, %d logged in, %d kinds of replies", v.queued, v.loggedIn, len(v.codes))
	}
}

// TestMalformedSessionsFindDefects plants defects of each kind.
func TestMalformedSessionsFindDefects(t *testing.T) {
	if testing.Short() {
		t.Skip("a check of the check")
	}
	forever := make(chan struct{})
	defer close(forever)
	var mu sync.Mutex
	var kept [][]byte
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for _, tt := range []struct {
		name   string
		defect func(name string)
		want   string
	}{
		{"a panic", func(name string) { _ = name[strings.IndexByte(name, '@')] }, "panic"},
		{"a goroutine", func(string) { go func() { <-forever }() }, "goroutines"},
		{"a file", func(string) {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			files = append(files, f)
		}, "files"},
		{"memory", func(string) {
			mu.Lock()
			defer mu.Unlock()
			kept = append(kept, bytes.Repeat([]byte("x"), 1<<20))
		}, "memory"},
	} {
		v := playMalformed(t, 400, *malformedSeed, func(ctx context.Context, name, password string) (mailcore.Identity, error) {
			id, err := checkLogin(ctx, name, password)
			if err != nil {
				tt.defect(name)
			}
			return id, err
		})
		if !slices.ContainsFunc(v.problems, func(p string) bool { return strings.Contains(p, tt.want) }) {
			t.Errorf("%s was not found: %q", tt.name, v.problems)
		}
		kept = nil
	}
}

// checkLogin knows one login.
func checkLogin(_ context.Context, name, password string) (mailcore.Identity, error) {
	if name == "wordpress" && password == "secret" {
		return mailcore.Identity{Login: name, Site: "shop"}, nil
	}
	return mailcore.Identity{}, errors.New("wrong")
}

// playMalformed plays sessions with a server that checks logins so.
func playMalformed(t *testing.T, n int, seed uint64, check mailcore.AuthenticatorFunc) *verdict {
	t.Helper()
	v := &verdict{sessions: n, codes: map[string]int{}}
	l, err := net.Listen("tcp4", "127.0.0.1:0") // before files are counted: the first socket opens the poller too
	if err != nil {
		t.Fatal(err)
	}
	to := l.Addr().String()
	before, files := goleak.IgnoreCurrent(), openFiles(t)-1
	ctx, cancel := context.WithCancel(context.Background())
	log := &panics{}
	ended := malformedServer(t, ctx, l, log, check)
	warm := n / 4
	v.play(t, to, seed, 0, warm)
	memory := resident(t)
	v.play(t, to, seed, warm, n)
	// Not with -short, for the sake of the race detector, which has memory of its own.
	if v.grown = resident(t) - memory; v.grown > maxGrowth && !testing.Short() {
		v.problems = append(v.problems, fmt.Sprintf("memory has grown by %d octets", v.grown))
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := goleak.Find(before); err != nil {
		v.problems = append(v.problems, fmt.Sprintf("goroutines are left: %.2000v", err))
	}
	if left := openFiles(t) - files; left != 0 {
		v.problems = append(v.problems, fmt.Sprintf("%d files are left open", left))
	}
	if count := log.count.Load(); count > 0 {
		v.problems = append(v.problems, fmt.Sprintf("%d sessions ended with a panic", count))
	}
	return v
}

// malformedServer runs a server until ctx is done.
func malformedServer(t *testing.T, ctx context.Context, l net.Listener, log io.Writer, check mailcore.Authenticator) (ended <-chan error) {
	t.Helper()
	srv, err := mailcore.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), mailcore.Config{
		Hostname:      "mail.panel.test",
		Resolver:      mailtest.NewDNS().Resolver(),
		Authenticator: check,
		Guard:         mailcore.Guard{ClientFailures: -1, LoginFailures: -1},
		Limits:        mailcore.Limits{ErrorSleep: -1},
		Log:           slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	addSite(t, srv, "shop", "shop.example")
	route(t, srv, "shop.example", "hold:for the test")
	end := make(chan error, 1)
	go func() {
		end <- srv.Run(ctx, mailcore.Listener{Kind: mailcore.SMTP, Listener: l, ClearAuth: true})
	}()
	return end
}

// play plays the sessions from one number to another. Many at once, for those with a
// wrong password take their time.
func (v *verdict) play(t *testing.T, to string, seed uint64, from, until int) {
	t.Helper()
	var next atomic.Int64
	next.Store(int64(from))
	var workers sync.WaitGroup
	var mu sync.Mutex
	for range 400 {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(until); i = next.Add(1) - 1 {
				s := malformed(seed, uint64(i))
				replies, err := s.play(to, fmt.Sprintf("127.0.0.%d", 2+i%250))
				mu.Lock()
				v.judge(replies, err, fmt.Sprintf("session %d of seed %d, %.300q", i, seed, s.pieces))
				mu.Unlock()
			}
		})
	}
	workers.Wait()
}

var wellFormed = regexp.MustCompile(`^([2-5][0-9][0-9])[ -][ -~]*$`)

// judge looks at what a session was told.
func (v *verdict) judge(replies string, err error, session string) {
	if err != nil {
		v.problems = append(v.problems, fmt.Sprintf("%v: %s", err, session))
		return
	}
	lines := strings.SplitAfter(replies, "\r\n")
	for _, line := range lines[:len(lines)-1] { // the last was cut off, or is empty
		m := wellFormed.FindStringSubmatch(strings.TrimSuffix(line, "\r\n"))
		if m == nil || len(line) > 512 {
			v.problems = append(v.problems, fmt.Sprintf("the reply %q: %s", line, session))
			continue
		}
		v.codes[m[1]]++
	}
	v.queued += strings.Count(replies, " Ok: queued as ")
	v.loggedIn += strings.Count(replies, "235 2.7.0 ")
}

// play returns what the server said. It is an error if the server does not come to
// an end.
func (s malformedSession) play(to, from string) (replies string, err error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	raw, err := d.Dial("tcp4", to)
	if err != nil {
		return "", err
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(20 * time.Second))
	conn := net.Conn(raw)
	if s.tls {
		if conn, err = overTLS(raw); err != nil {
			return "", err
		}
	}
	for _, piece := range s.pieces {
		io.WriteString(conn, piece) // the server may have closed
	}
	switch s.end {
	case "reset":
		raw.(*net.TCPConn).SetLinger(0)
		return "", nil
	case "close":
		return "", nil
	}
	conn.(interface{ CloseWrite() error }).CloseWrite()
	text, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", err
	}
	return string(text), nil // a reset is an end too
}

// overTLS goes as far as TLS in order.
func overTLS(raw net.Conn) (net.Conn, error) {
	io.WriteString(raw, "EHLO c.test\r\n")
	for heard := ""; !strings.Contains(heard, "250 CHUNKING\r\n"); {
		b := make([]byte, 1024)
		n, err := raw.Read(b)
		if err != nil {
			return nil, err
		}
		heard += string(b[:n])
	}
	io.WriteString(raw, "STARTTLS\r\n")
	if _, err := io.ReadFull(raw, make([]byte, len("220 2.0.0 Ready to start TLS\r\n"))); err != nil {
		return nil, err
	}
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	return conn, conn.Handshake()
}

// panics counts the lines of a log that tell of one.
type panics struct{ count atomic.Int64 }

// Write implements [io.Writer].
func (p *panics) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("msg=panic")) {
		p.count.Add(1)
	}
	return len(line), nil
}

// openFiles is how many files this process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// resident is the memory of this process in octets, without what was freed.
func resident(t *testing.T) int {
	t.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

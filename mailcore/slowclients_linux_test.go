package mailcore_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/panelmail/panelmail/mailcore"
)

// onLoopback runs a server with real sockets, which keeps mail for shop.example on
// hold, and returns where its port 25 is.
func onLoopback(t *testing.T, config mailcore.Config) string {
	t.Helper()
	config.Hostname, config.Log = "mail.panel.test", slog.New(slog.DiscardHandler)
	srv, err := mailcore.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), config)
	if err != nil {
		t.Fatal(err)
	}
	addSite(t, srv, "shop", "shop.example")
	route(t, srv, "shop.example", "hold:for the test")
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx, mailcore.Listener{Kind: mailcore.SMTP, Listener: l}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// needFiles skips a test where too few files may be open.
func needFiles(t *testing.T, n uint64) {
	t.Helper()
	if testing.Short() {
		t.Skip("real sockets, thousands of them")
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < n {
		t.Skipf("%d files may be open, %d are needed: %v", limit.Cur, n, err)
	}
}

// dialFrom connects from an address of loopback.
func dialFrom(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	c, err := d.Dial("tcp4", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// firstLine reads a greeting octet by octet, so that nothing is kept for it.
func firstLine(c net.Conn) string {
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	var line []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(line), "\n"); {
		if _, err := io.ReadFull(c, one); err != nil {
			break
		}
		line = append(line, one[0])
	}
	return strings.TrimSpace(string(line))
}

// sendFrom hands in a message and returns how long that took.
func sendFrom(t *testing.T, from, to string) time.Duration {
	t.Helper()
	start := time.Now()
	c := dialFrom(t, from, to)
	defer c.Close()
	c.SetDeadline(start.Add(30 * time.Second))
	r := bufio.NewReader(c)
	for _, step := range []struct{ say, want string }{
		{"", "220 "}, {"EHLO honest.test", "250 "}, {"MAIL FROM:<a@honest.test>", "250 "}, {"RCPT TO:<u@shop.example>", "250 "},
		{"DATA", "354 "}, {"Subject: hello\r\n\r\nhello\r\n.", "250 "}, {"QUIT", "221 "},
	} {
		if step.say != "" {
			fmt.Fprintf(c, "%s\r\n", step.say)
		}
		line := "250-"
		for err := error(nil); len(line) > 3 && line[3] == '-'; {
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatalf("%q: %v", step.say, err)
			}
		}
		if !strings.HasPrefix(line, step.want) {
			t.Fatalf("%q: %q", step.say, line)
		}
	}
	return time.Since(start)
}

// honestly sends 100 messages one after the other; of the times the 99th part in a
// hundred must be a second at most.
func honestly(t *testing.T, to string) {
	t.Helper()
	var took []time.Duration
	for range 100 {
		took = append(took, sendFrom(t, "127.0.1.1", to))
	}
	slices.Sort(took)
	t.Logf("honest client: median %v, p99 %v", took[50], took[98])
	if took[98] > time.Second {
		t.Errorf("an honest client waits %v", took[98])
	}
}

// TestAThousandSlowClientsLeaveRoomForAnHonestOne has 50 of each of 20 addresses:
// idle ones, and some that drip a command or content.
func TestAThousandSlowClientsLeaveRoomForAnHonestOne(t *testing.T) {
	needFiles(t, 3000)
	to := onLoopback(t, mailcore.Config{})
	honestly(t, to)
	before := inUse()
	var slow []net.Conn
	refused := 0
	for i := range 1000 {
		c := dialFrom(t, fmt.Sprintf("127.0.0.%d", 2+i/50), to)
		switch greeting := firstLine(c); {
		case strings.HasPrefix(greeting, "220 "):
			slow = append(slow, c)
		case strings.HasPrefix(greeting, "421 4.7.0 mail.panel.test Error: too many connections from 127.0.0."):
			refused++
		default:
			t.Fatalf("client %d hears %q", i, greeting)
		}
	}
	each := int(inUse()-before) / len(slow)
	t.Logf("%d slow clients, %d refused, %d octets each", len(slow), refused, each)
	if len(slow) != 910 {
		t.Errorf("%d got in, want 910", len(slow))
	}
	if each > 64<<10 {
		t.Errorf("an idle connection takes %d octets", each)
	}
	for i, c := range slow {
		if i%3 == 2 {
			io.WriteString(c, "EHLO slow.test\r\nMAIL FROM:<>\r\nRCPT TO:<u@shop.example>\r\nDATA\r\n")
		}
	}
	stop := make(chan struct{})
	var dripping sync.WaitGroup
	dripping.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			for i, c := range slow {
				if i%3 > 0 {
					c.Write([]byte("x")) // the server may have left
				}
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	honestly(t, to)
	close(stop)
	dripping.Wait()
}

// inUse is the memory of heap and stacks in octets.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// TestThreeThousandConnectionsOfOneClientAreFifty holds on to all of them.
func TestThreeThousandConnectionsOfOneClientAreFifty(t *testing.T) {
	needFiles(t, 7000)
	to := onLoopback(t, mailcore.Config{})
	served := 0
	for i := range 3000 {
		switch greeting := firstLine(dialFrom(t, "127.0.0.2", to)); {
		case strings.HasPrefix(greeting, "220 "):
			served++
		case greeting != "421 4.7.0 mail.panel.test Error: too many connections from 127.0.0.2":
			t.Fatalf("connection %d hears %q", i, greeting)
		}
	}
	if served != 50 {
		t.Errorf("%d were served", served)
	}
	honestly(t, to)
}

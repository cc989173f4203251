package memnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	client = netip.MustParseAddrPort("192.0.2.1:40000")
	server = netip.MustParseAddrPort("192.0.2.2:25")
)

func TestBothSidesMayWriteBeforeEitherReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(client, server)
		big := bytes.Repeat([]byte("x"), window)
		for _, c := range []*Conn{a, b} {
			if n, err := c.Write(big); n != window || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
		}
		done := make(chan error)
		go func() { _, err := a.Write([]byte("more")); done <- err }()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("a write into a full buffer did not block")
		default:
		}
		got := make([]byte, window+4)
		if _, err := io.ReadFull(b, got); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if want := append(bytes.Clone(big), "more"...); !bytes.Equal(got, want) {
			t.Error("octets changed on the way")
		}
	})
}

func TestADeadlineEndsReadsAndWritesAndCanBeMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := Pipe(client, server)
		start := time.Now()
		a.SetReadDeadline(start.Add(time.Second))
		a.SetReadDeadline(start.Add(time.Minute))
		_, err := a.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("Read: %v after %v", err, time.Since(start))
		}
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%v is no net.Error that timed out", err)
		}
		a.Write(make([]byte, window))
		a.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := a.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write into a full buffer = %d, %v", n, err)
		}
		a.SetDeadline(time.Time{})
		go func() { time.Sleep(time.Hour); a.Close() }()
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read ended by Close: %v", err)
		}
	})
}

func TestHowAConnectionEnds(t *testing.T) {
	for _, tt := range []struct {
		name     string
		end      func(a, b *Conn)
		data     string // what b still reads
		read     error
		write    error
		writable bool
	}{
		{"close", func(a, b *Conn) { a.Close() }, "hello", io.EOF, syscall.EPIPE, false},
		{"half-close", func(a, b *Conn) { a.CloseWrite() }, "hello", io.EOF, nil, true},
		{"close with unread data", func(a, b *Conn) { b.Write([]byte("unread")); a.Close() },
			"hello", syscall.ECONNRESET, syscall.EPIPE, false},
		{"reset", func(a, b *Conn) { a.Reset() }, "hello", syscall.ECONNRESET, syscall.ECONNRESET, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := Pipe(client, server)
			a.Write([]byte("hello"))
			tt.end(a, b)
			got, err := io.ReadAll(b)
			if err == nil {
				err = io.EOF
			}
			if string(got) != tt.data || !errors.Is(err, tt.read) {
				t.Errorf("read %q, %v; want %q, %v", got, err, tt.data, tt.read)
			}
			if _, err := b.Write([]byte("x")); !errors.Is(err, tt.write) || (err == nil) != tt.writable {
				t.Errorf("write: %v, want %v", err, tt.write)
			}
			b.Close()
		})
	}
}

func TestDialReachesTheListenerWithBothAddresses(t *testing.T) {
	n := New()
	source := netip.MustParseAddr("192.0.2.7")
	n.AddLocal(source)
	l, err := n.Listen(server)
	if err != nil {
		t.Fatal(err)
	}
	c, err := n.Dial(t.Context(), source, server)
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.RemoteAddr().String(), c.LocalAddr().String(); got != want || !bytes.HasPrefix([]byte(got), []byte("192.0.2.7:")) {
		t.Errorf("the server sees %s, the client is %s", got, want)
	}
	if s.LocalAddr().String() != server.String() || c.RemoteAddr().String() != server.String() {
		t.Errorf("server %s, dialled %s", s.LocalAddr(), c.RemoteAddr())
	}
}

func TestDialFailsAsAKernelWould(t *testing.T) {
	n := New()
	if _, err := n.Listen(server); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen(server); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v", err)
	}
	for _, tt := range []struct {
		name          string
		local, remote string
		want          error
	}{
		{"nobody listens", "", "192.0.2.2:26", syscall.ECONNREFUSED},
		{"not our address", "192.0.2.99", "192.0.2.2:25", syscall.EADDRNOTAVAIL},
		{"other family", "::1", "192.0.2.2:25", syscall.EADDRNOTAVAIL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var local netip.Addr
			if tt.local != "" {
				local = netip.MustParseAddr(tt.local)
			}
			_, err := n.Dial(t.Context(), local, netip.MustParseAddrPort(tt.remote))
			if !errors.Is(err, tt.want) {
				t.Errorf("Dial: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestABlackHoleHoldsTheDialerUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		if _, err := n.Listen(server); err != nil {
			t.Fatal(err)
		}
		n.BlackHole(server.Addr())
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		_, err := n.Dial(ctx, netip.Addr{}, server)
		if !errors.Is(err, syscall.ETIMEDOUT) || time.Since(start) != 30*time.Second {
			t.Errorf("Dial: %v after %v", err, time.Since(start))
		}
		n.Restore(server.Addr())
		if _, err := n.Dial(t.Context(), netip.Addr{}, server); err != nil {
			t.Errorf("Dial after Restore: %v", err)
		}
	})
}

func TestAWildcardListenerAnswersForEveryAddress(t *testing.T) {
	n := New()
	l, err := n.Listen(netip.MustParseAddrPort("0.0.0.0:25"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Dial(t.Context(), netip.Addr{}, server); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil || c.LocalAddr().String() != server.String() {
		t.Errorf("Accept: %v, %v", c.LocalAddr(), err)
	}
}

func TestClosingAListenerResetsTheBacklog(t *testing.T) {
	n := New()
	l, err := n.Listen(server)
	if err != nil {
		t.Fatal(err)
	}
	c, err := n.Dial(t.Context(), netip.Addr{}, server)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("connection nobody accepted: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	if _, err := n.Dial(t.Context(), netip.Addr{}, server); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Dial after Close: %v", err)
	}
	if _, err := n.Listen(server); err != nil {
		t.Errorf("the address is not free again: %v", err)
	}
}

func TestAcceptWaitsForADialOrTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		l, err := n.Listen(server)
		if err != nil {
			t.Fatal(err)
		}
		accepted := make(chan error)
		go func() {
			for {
				_, err := l.Accept()
				accepted <- err
				if err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		if _, err := n.Dial(t.Context(), netip.Addr{}, server); err != nil {
			t.Fatal(err)
		}
		if err := <-accepted; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l.Close()
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept during Close: %v", err)
		}
	})
}

package smtpserver

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/internal/memnet"
)

// sinkHandler accepts everything and keeps nothing.
type sinkHandler struct{}

func (sinkHandler) NewSession(context.Context, *Conn) (Session, error) { return sinkHandler{}, nil }
func (sinkHandler) Mail(context.Context, string, MailParams) (Transaction, error) {
	return sinkHandler{}, nil
}
func (sinkHandler) Rcpt(context.Context, string, RcptParams) error { return nil }
func (sinkHandler) Data(_ context.Context, content io.Reader) (string, error) {
	_, err := io.Copy(io.Discard, content)
	return "4b1d", err
}
func (sinkHandler) Abort() {}
func (sinkHandler) Close() {}

// batch is how many messages the benchmark keeps under way, so that it measures
// work and not the time of a round trip.
const batch = 16

// BenchmarkPipelinedMessage is a transaction with all its commands in one write.
func BenchmarkPipelinedMessage(b *testing.B) {
	for _, size := range []struct {
		name  string
		lines int
	}{{"4KiB", 64}, {"100KiB", 1600}} {
		message := "MAIL FROM:<a@remote.test> SIZE=4096 BODY=8BITMIME\r\nRCPT TO:<u@local.test>\r\nDATA\r\n" +
			strings.Repeat(strings.Repeat("x", 62)+"\r\n", size.lines) + ".\r\n"
		b.Run(size.name+"/memory", func(b *testing.B) {
			near, far := memnet.Pipe(clientAddr, serverAddr)
			benchmark(b, near, far, message)
		})
		b.Run(size.name+"/loopback", func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			near, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			far, err := l.Accept()
			if err != nil {
				b.Fatal(err)
			}
			benchmark(b, near, far, message)
		})
	}
}

func benchmark(b *testing.B, near, far net.Conn, message string) {
	s := &Server{Hostname: "mx.local.test", Handler: sinkHandler{}, Log: slog.New(slog.DiscardHandler)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ServeConn(context.Background(), far)
	}()
	defer func() {
		near.Close()
		<-done
	}()
	r := bufio.NewReader(near)
	expect := func(lines int) {
		var line []byte
		for range lines {
			var err error
			if line, err = r.ReadSlice('\n'); err != nil {
				b.Fatal(err)
			}
		}
		if line[0] != '2' {
			b.Fatalf("%q", line)
		}
	}
	expect(1)
	io.WriteString(near, "HELO client.test\r\n")
	expect(1)
	out := []byte(message)
	b.SetBytes(int64(len(out)))
	b.ReportAllocs()
	sent := 0
	for b.Loop() {
		if sent++; sent > batch {
			expect(4)
		}
		if _, err := near.Write(out); err != nil {
			b.Fatal(err)
		}
	}
	expect(4 * min(sent, batch))
}

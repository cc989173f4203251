package transport_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/internal/memnet"
	"github.com/panelmail/panelmail/transport"
)

// drain takes every message of a pipelining client with as little work as can be.
func drain(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10)
	io.WriteString(c, "220 x\r\n")
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		switch line[0] {
		case 'E':
			io.WriteString(c, "250-x\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n")
		case 'D':
			io.WriteString(c, "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n")
			for string(line) != ".\r\n" {
				if line, err = r.ReadSlice('\n'); err != nil {
					return
				}
			}
			io.WriteString(c, "250 2.0.0 Ok\r\n")
		}
	}
}

// BenchmarkSMTP is one delivery of 4 KiB over a connection that is kept.
func BenchmarkSMTP(b *testing.B) {
	network := memnet.New()
	l, err := network.Listen(netip.MustParseAddrPort("192.0.2.1:25"))
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go drain(c)
		}
	}()
	s := &transport.SMTP{Hostname: "us.test", Network: network}
	defer s.Close()
	d := mail("b@x.test")
	d.Plan.Nexthop = "[192.0.2.1]"
	content := strings.Repeat(strings.Repeat("x", 76)+"\r\n", 52)
	d.Size, d.Open = int64(len(content)), contentIs(content)
	b.ReportAllocs()
	for b.Loop() {
		if o := s.Deliver(context.Background(), d)[0]; !o.Delivered() {
			b.Fatal(short(o))
		}
	}
}

package smtpclient

import (
	"bufio"
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/internal/memnet"
)

// sink takes every message of a pipelining client with as little work as can be.
func sink(c io.ReadWriteCloser) {
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

func BenchmarkSend(b *testing.B) {
	for name, size := range map[string]int{"4KiB": 4 << 10, "100KiB": 100 << 10} {
		b.Run(name, func(b *testing.B) {
			here, there := memnet.Pipe(netip.AddrPort{}, netip.AddrPort{})
			go sink(here)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			c, err := Greet(ctx, there, Options{HELO: "us.test"})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Quit()
			content := strings.Repeat(strings.Repeat("x", 76)+"\r\n", size/78)
			e := envelope("b@mx.test")
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				if res, err := c.Send(ctx, e, strings.NewReader(content)); err != nil || !res.Reply(0).OK() {
					b.Fatal(res, err)
				}
			}
		})
	}
}

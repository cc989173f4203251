package smtpserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/memnet"
)

// binary2 is a header of version 2.
func binary2(command, family byte, rest string) string {
	return signature + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

const (
	four = "\xc0\x00\x02\x01\xc6\x33\x64\x01\x9c\x40\x00\x19" // 192.0.2.1:40000 to 198.51.100.1:25
	zero = "\x00\x00\x00\x00\x00\x00\x00\x00"
	six  = "\x20\x01\x0d\xb8" + zero + "\x00\x00\x00\x01" + "\x20\x01\x0d\xb8" + zero + "\x00\x00\x00\x02" + "\x9c\x40\x00\x19"
)

// headers are examples; want is empty if the header is refused.
var headers = []struct{ name, header, want string }{
	{"v1 over IPv4", "PROXY TCP4 192.0.2.1 198.51.100.1 40000 25\r\n", "192.0.2.1:40000 198.51.100.1:25"},
	{"v1 over IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 40000 25\r\n", "[2001:db8::1]:40000 [2001:db8::2]:25"},
	{"v1 of unknown clients", "PROXY UNKNOWN\r\n", "none"},
	{"v1 of unknown clients with addresses", "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "none"},
	{"v2 over IPv4", binary2(0x21, 0x11, four), "192.0.2.1:40000 198.51.100.1:25"},
	{"v2 over IPv6", binary2(0x21, 0x21, six), "[2001:db8::1]:40000 [2001:db8::2]:25"},
	{"v2 with more fields", binary2(0x21, 0x11, four+"\x03\x00\x04\xfd\x16\xee\x2f"), "192.0.2.1:40000 198.51.100.1:25"},
	{"v2 of the proxy itself", binary2(0x20, 0x00, ""), "none"},
	{"v2 of the proxy itself with addresses", binary2(0x20, 0x11, four), "none"},
	{"v2 of unknown clients", binary2(0x21, 0x00, "whatever"), "none"},
	{"v2 of 4,096 octets", binary2(0x21, 0x11, four+strings.Repeat("x", 4084)), "192.0.2.1:40000 198.51.100.1:25"},

	{"v2 of 4,097 octets", binary2(0x21, 0x11, four+strings.Repeat("x", 4085)), ""},
	{"v2 over UDP", binary2(0x21, 0x12, four), ""},
	{"v2 over a Unix socket", binary2(0x21, 0x31, strings.Repeat("x", 216)), ""},
	{"v2 of another command", binary2(0x22, 0x11, four), ""},
	{"v3", binary2(0x31, 0x11, four), ""},
	{"v2 without room for ports", binary2(0x21, 0x11, four[:11]), ""},
	{"v2 over IPv6 with addresses of IPv4", binary2(0x21, 0x21, four), ""},
	{"v1 longer than 107 octets", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", ""},
	{"v1 with the families mixed", "PROXY TCP4 192.0.2.1 2001:db8::2 40000 25\r\n", ""},
	{"v1 over IPv4 with addresses of IPv6", "PROXY TCP4 2001:db8::1 2001:db8::2 40000 25\r\n", ""},
	{"v1 with a zone", "PROXY TCP6 fe80::1%eth0 fe80::2 40000 25\r\n", ""},
	{"v1 with a large port", "PROXY TCP4 192.0.2.1 198.51.100.1 65536 25\r\n", ""},
	{"v1 with a sign", "PROXY TCP4 192.0.2.1 198.51.100.1 +1 25\r\n", ""},
	{"v1 with a needless zero", "PROXY TCP4 192.0.2.1 198.51.100.1 40000 025\r\n", ""},
	{"v1 with two blanks", "PROXY TCP4  192.0.2.1 198.51.100.1 40000 25\r\n", ""},
	{"v1 with something behind", "PROXY TCP4 192.0.2.1 198.51.100.1 40000 25 \r\n", ""},
	{"v1 with too little", "PROXY TCP4 192.0.2.1 198.51.100.1 40000\r\n", ""},
	{"v1 over UDP", "PROXY UDP4 192.0.2.1 198.51.100.1 40000 25\r\n", ""},
	{"v1 with a bare LF", "PROXY TCP4 192.0.2.1 198.51.100.1 40000 25\nEHLO x\r\n", ""},
	{"lower case", "proxy TCP4 192.0.2.1 198.51.100.1 40000 25\r\n", ""},
	{"SMTP", "EHLO client.test\r\n", ""},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00", ""},
}

func TestProxyHeadersAreReadToTheirLastOctet(t *testing.T) {
	const behind = "EHLO client.test\r\n"
	for _, tt := range headers {
		for _, way := range []string{"together", "octets"} {
			r := strings.NewReader(tt.header + behind)
			var in io.Reader = r
			if way == "octets" {
				in = iotest.OneByteReader(r)
			}
			h, err := readHeader(in)
			if tt.want == "" {
				if !errors.Is(err, errHeader) {
					t.Errorf("%s, %s: %v, %v", tt.name, way, h, err)
				}
				continue
			}
			got := "none"
			if h.source.IsValid() {
				got = fmt.Sprint(h.source, " ", h.destination)
			}
			if err != nil || got != tt.want {
				t.Errorf("%s, %s: %s, %v", tt.name, way, got, err)
			}
			if left, _ := io.ReadAll(r); string(left) != behind {
				t.Errorf("%s, %s: left %q", tt.name, way, left)
			}
		}
	}
}

func TestAProxyHeaderThatIsCutOffIsAnError(t *testing.T) {
	for _, tt := range headers {
		if tt.want == "" {
			continue
		}
		for i := range tt.header {
			want := io.ErrUnexpectedEOF
			if i == 0 {
				want = io.EOF
			}
			if _, err := readHeader(strings.NewReader(tt.header[:i])); err != want {
				t.Errorf("%s, %d octets: %v", tt.name, i, err)
			}
		}
	}
}

func FuzzProxyHeader(f *testing.F) {
	for _, tt := range headers {
		f.Add([]byte(tt.header))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		r := bytes.NewReader(input)
		h, err := readHeader(r)
		if used := len(input) - r.Len(); used > len(signature)+4+maxRest {
			t.Errorf("%d octets were read", used)
		}
		if err != nil && h != (proxyHeader{}) {
			t.Errorf("%v with %v", h, err)
		}
		if h.source.Addr().BitLen() != h.destination.Addr().BitLen() {
			t.Errorf("two families: %v", h)
		}
	})
}

func TestAProxiedConnectionHasTheAddressesOfTheHeader(t *testing.T) {
	proxy, us := netip.MustParseAddrPort("10.0.0.1:50000"), netip.MustParseAddrPort("10.0.0.2:25")
	for _, tt := range []struct{ header, remote, local string }{
		{"PROXY TCP4 192.0.2.1 198.51.100.1 40000 25\r\n", "192.0.2.1:40000", "198.51.100.1:25"},
		{binary2(0x20, 0x00, ""), "10.0.0.1:50000", "10.0.0.2:25"},
	} {
		near, far := memnet.Pipe(proxy, us)
		near.Write([]byte(tt.header + "NOOP"))
		c, err := acceptProxied(far, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{c.RemoteAddr().String(), c.LocalAddr().String()}
		if diff := cmp.Diff([]string{tt.remote, tt.local}, got); diff != "" {
			t.Error(diff)
		}
		c.(interface{ CloseWrite() error }).CloseWrite()
		if _, err := near.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after CloseWrite: %v", err)
		}
		c.Close()
		near.Close()
	}
}

func TestAProxyHeaderMustComeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := memnet.Pipe(netip.MustParseAddrPort("10.0.0.1:50000"), netip.MustParseAddrPort("10.0.0.2:25"))
		var dripping sync.WaitGroup
		dripping.Go(func() {
			for _, b := range []byte("PROXY TCP4 192.0.2.1 198.51.100.1") {
				near.Write([]byte{b})
				time.Sleep(time.Second)
			}
		})
		start := time.Now()
		_, err := acceptProxied(far, 5*time.Second)
		var ne net.Error
		if !errors.As(err, &ne) || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		dripping.Wait()
		near.Close()
		far.Close()
	})
}

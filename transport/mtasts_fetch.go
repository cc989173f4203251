package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

const (
	stsFetchTimeout = time.Minute // RFC 8461 section 3.3
	stsDialTimeout  = 10 * time.Second
	maxSTSAddresses = 4
	maxSTSHeader    = 16 << 10 // octets
)

// An stsTrouble is why there is no policy where one is announced.
type stsTrouble struct {
	kind TLSFailureKind
	err  error
}

// Error is the detail for people.
func (t *stsTrouble) Error() string { return t.err.Error() }

// fetch gets the policy of a domain from where it is published (RFC 8461 section 3.3):
// over HTTPS with a certificate that is trusted for the name, and from nowhere else. The
// error is an *stsTrouble.
func (m *MTASTS) fetch(ctx context.Context, domain string) (STSPolicy, error) {
	ctx, cancel := context.WithTimeout(ctx, stsFetchTimeout)
	defer cancel()
	text, err := m.download(ctx, "https://mta-sts."+domain+"/.well-known/mta-sts.txt")
	if err != nil {
		kind := STSPolicyFetchError
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			kind = STSWebPKIInvalid
		}
		return STSPolicy{}, &stsTrouble{kind, err}
	}
	policy, err := ParseSTSPolicy(text)
	if err != nil {
		return STSPolicy{}, &stsTrouble{STSPolicyInvalid, err}
	}
	return policy, nil
}

// download returns a small text.
func (m *MTASTS) download(ctx context.Context, url string) (string, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if m.Roots != nil {
		config.RootCAs = m.Roots()
	}
	carrier := &http.Transport{
		DialContext:            m.dial,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    stsDialTimeout,
		DisableKeepAlives:      true,
		DisableCompression:     true, // what is small may become large
		MaxResponseHeaderBytes: maxSTSHeader,
	}
	defer carrier.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := carrier.RoundTrip(request) // and no redirect is followed
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the policy host answered %d", response.StatusCode)
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != "text/plain" {
		return "", errors.New("the policy is not of type text/plain")
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxSTSPolicy+1))
	if err == nil && len(text) > maxSTSPolicy {
		err = fmt.Errorf("the policy is larger than %d octets", maxSTSPolicy)
	}
	return string(text), err
}

// dial connects to a policy host. Its name is a stranger's word: private addresses are
// not connected to.
func (m *MTASTS) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, err
	}
	addrs, err := m.resolver().Addrs(ctx, host)
	if err != nil {
		return nil, err
	}
	failed := fmt.Errorf("%s has no address that is connected to", host)
	tried := 0
	for _, a := range addrs {
		if isPrivate(a) && (m.AllowPrivate == nil || !m.AllowPrivate()) {
			continue
		}
		if tried++; tried > maxSTSAddresses || ctx.Err() != nil {
			break
		}
		conn, err := m.dialOne(ctx, netip.AddrPortFrom(a, uint16(port)))
		if err == nil {
			return conn, nil
		}
		failed = fmt.Errorf("connect to %s[%s]:%d: %s", host, a, port, reason(err))
	}
	return nil, failed
}

func (m *MTASTS) dialOne(ctx context.Context, at netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, stsDialTimeout)
	defer cancel()
	network := m.Network
	if network == nil {
		network = System{}
	}
	return network.Dial(ctx, netip.Addr{}, at)
}

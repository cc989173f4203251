package transport

import (
	"errors"
	"net"
	"net/netip"
	"testing"
)

func TestTheADBitOfALoopbackResolverIsBelievedAndOfOthersIfToldTo(t *testing.T) {
	for server, want := range map[string]bool{
		"127.0.0.1:53": true, "127.0.0.53:5353": true, "[::1]:53": true, "[::ffff:127.0.0.1]:53": true,
		"192.0.2.1:53": false, "10.0.0.1:53": false, "[2001:db8::1]:53": false, "localhost:53": false, "": false,
	} {
		if got := new(DNS).believes(server); got != want {
			t.Errorf("%s: believed: %v", server, got)
		}
		if told := (&DNS{TrustAD: true}); !told.believes(server) {
			t.Errorf("%s is not believed when told to", server)
		}
		if r := (&DNS{Server: server}); server != "" && r.believesNobody() == want {
			t.Errorf("%s: believes nobody: %v", server, !want)
		}
	}
}

func TestADenialIsAnErrorOfThePackageNet(t *testing.T) {
	inner := &net.DNSError{Err: "no such host", Name: "x.test", IsNotFound: true}
	for _, secure := range []bool{false, true} {
		err := error(denial{inner, secure})
		var e *net.DNSError
		if !errors.As(err, &e) || e != inner || !notFound(err) || deniedSecurely(err) != secure {
			t.Errorf("secure: %v: %v, %v, %v", secure, e, notFound(err), deniedSecurely(err))
		}
	}
	if deniedSecurely(inner) || deniedSecurely(nil) {
		t.Error("what is no denial is a secure one")
	}
}

func TestAnAddressHasNoTLSARecords(t *testing.T) {
	r := &DNS{Server: "127.0.0.1:1"} // where nobody is
	for _, host := range []string{netip.MustParseAddr("192.0.2.1").String(), "2001:db8::1"} {
		if f := r.TLSA(t.Context(), host, 25); f.Status != DNSSECInsecure {
			t.Errorf("%s: %+v", host, f)
		}
	}
}

package restrict

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// aboutClient is a restriction of the client or what it calls itself; nil if the word is
// not one.
func aboutClient(word string) func(context.Context, *run) answer {
	switch word {
	case "reject_invalid_helo_hostname":
		return ofHELO(func(_ context.Context, _ *run, name string) *Reply {
			if !isHostname(name) && !isAddr(name) {
				return &Reply{501, "5.5.2", "Invalid name"}
			}
			return nil
		})
	case "reject_non_fqdn_helo_hostname":
		return ofHELO(func(_ context.Context, _ *run, name string) *Reply {
			if !isHostname(name) || !strings.Contains(name, ".") {
				return &Reply{504, "5.5.2", "need fully-qualified hostname"}
			}
			return nil
		})
	case "reject_unknown_helo_hostname":
		return rejectUnknownHELO
	case "reject_unknown_client_hostname":
		return rejectUnknownClient
	case "reject_unknown_reverse_client_hostname":
		return rejectNamelessClient
	}
	return nil
}

// ofHELO refuses by the name that the client gives itself, for which judge returns a
// reply without a subject. An address in brackets is judged as such.
func ofHELO(judge func(ctx context.Context, r *run, name string) *Reply) func(context.Context, *run) answer {
	return func(ctx context.Context, r *run) answer {
		name := r.request.HELO
		if name == "" {
			return answer{}
		}
		bad := invalidLiteral(name)
		if !strings.HasPrefix(name, "[") {
			bad = judge(ctx, r, strings.TrimSuffix(name, "."))
		}
		if bad == nil {
			return answer{}
		}
		return r.refuse(ctx, theHELO, bad.Code, bad.Status, bad.Text)
	}
}

// rejectUnknownHELO refuses a name that the DNS does not know.
func rejectUnknownHELO(ctx context.Context, r *run) answer {
	doubt := false
	a := ofHELO(func(ctx context.Context, r *run, name string) *Reply {
		if isHostname(name) {
			switch r.mailDomain(ctx, name) {
			case exists, nullMX:
				return nil
			case inDoubt:
				doubt = true
			}
		}
		return &Reply{450, "4.7.1", "Host not found"}
	})(ctx, r)
	if doubt {
		return r.deferLater(a.reply)
	}
	return a
}

func rejectUnknownClient(ctx context.Context, r *run) answer {
	if name, _ := r.clientName(ctx); name != "unknown" {
		return answer{}
	}
	text := fmt.Sprintf("Client host rejected: cannot find your hostname, [%s]", r.request.Client)
	return answer{outcome: refused, reply: Reply{450, "4.7.25", text}}
}

func rejectNamelessClient(ctx context.Context, r *run) answer {
	if _, reverse := r.clientName(ctx); reverse {
		return answer{}
	}
	text := fmt.Sprintf("Client host rejected: cannot find your reverse hostname, [%s]", r.request.Client)
	return answer{outcome: refused, reply: Reply{450, "4.7.1", text}}
}

// isHostname reports whether a name could be that of a host.
func isHostname(name string) bool {
	a, err := address.Parse("x@" + name)
	return err == nil && a.Domain == name && !strings.HasPrefix(name, "[")
}

func isAddr(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// invalidLiteral judges an address literal (RFC 5321 section 4.1.3).
func invalidLiteral(name string) *Reply {
	a, err := address.Parse("x@" + name)
	if err == nil {
		if _, ok := a.Literal(); ok {
			return nil
		}
	}
	return &Reply{501, "5.5.2", "invalid ip address"}
}

package sites

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/panelmail/panelmail/internal/postmap"
	"github.com/panelmail/panelmail/transport"
)

// A Service is an SMTP client in a master.cf of Postfix, of which counts where mail
// leaves from: as it is written to give a customer an address of his own.
type Service struct {
	Name       string
	IPv4, IPv6 netip.Addr // smtp_bind_address, smtp_bind_address6
	HELO       string     // smtp_helo_name
}

func (s Service) source(key string) Source {
	return Source{Key: key, IPv4: s.IPv4, IPv6: s.IPv6, HELO: s.HELO}
}

// ParseServices reads the services of a master.cf, master(5), that run smtp or lmtp
// and name an address or a HELO name. What else they say is not taken over, of which
// there is a warning. Errors are as those of a [MapReader].
func ParseServices(name string, r io.Reader) (services []Service, warnings []string, err error) {
	var problems postmap.Problems
	sc := postmap.NewScanner(r, postmap.Limits{Row: maxMapRow, Text: maxMapText})
	for sc.Scan() {
		pattern, value, err := sc.Row()
		if err == nil {
			var s Service
			var other []string
			s, other, err = parseService(pattern, value)
			if err == nil && s != (Service{Name: pattern}) {
				services = append(services, s)
				if len(other) > 0 {
					warnings = append(warnings, fmt.Sprintf("%s:%d: of service %s this is not taken over: %s", name, sc.Line(), pattern, strings.Join(other, ", ")))
				}
			}
		}
		if err != nil {
			problems.Add(&transport.MapError{Name: name, Line: sc.Line(), Pattern: pattern, Err: err})
		}
	}
	if line, err := sc.Err(); err != nil {
		problems.Add(&transport.MapError{Name: name, Line: line, Err: err})
	}
	if err := problems.Err(); err != nil {
		return nil, nil, err
	}
	return services, warnings, nil
}

// parseService reads one line of a master.cf: behind the name are type, private,
// unprivileged, chroot, wakeup, limit, command and arguments.
func parseService(name, rest string) (s Service, other []string, err error) {
	s.Name = name
	columns := strings.Fields(rest)
	if len(columns) < 7 {
		return s, nil, fmt.Errorf("%d columns, want 8 at least", len(columns)+1)
	}
	if command := columns[6]; command != "smtp" && command != "lmtp" {
		return s, nil, nil
	}
	settings, other, err := overrides(columns[7:])
	for _, setting := range settings {
		key, value := strings.TrimSpace(setting[0]), strings.TrimSpace(setting[1])
		switch key {
		case "smtp_bind_address":
			s.IPv4, err = bindAddress(value, err)
		case "smtp_bind_address6":
			s.IPv6, err = bindAddress(strings.Trim(value, "[]"), err)
		case "smtp_helo_name":
			if s.HELO = value; strings.Contains(value, "$") {
				err = errors.Join(err, fmt.Errorf("smtp_helo_name is %s: write the name", value))
			}
		default:
			other = append(other, key)
		}
	}
	return s, other, err
}

func bindAddress(value string, err error) (netip.Addr, error) {
	if value == "" {
		return netip.Addr{}, err
	}
	ip, problem := netip.ParseAddr(value)
	return ip, errors.Join(err, problem)
}

// overrides reads "-o name=value" and "-o { name = value }". Other arguments are
// returned as they are.
func overrides(args []string) (settings [][2]string, other []string, err error) {
	for i := 0; i < len(args); i++ {
		setting, is := strings.CutPrefix(args[i], "-o")
		if !is {
			other = append(other, args[i])
			continue
		}
		if setting == "" {
			if i++; i == len(args) {
				return nil, nil, errors.New("-o without a setting")
			}
			setting = args[i]
		}
		if inner, braced := strings.CutPrefix(setting, "{"); braced {
			for !strings.HasSuffix(inner, "}") {
				if i++; i == len(args) {
					return nil, nil, errors.New("a brace is not closed")
				}
				inner += " " + args[i]
			}
			setting = strings.TrimSuffix(inner, "}")
		}
		name, value, ok := strings.Cut(setting, "=")
		if !ok {
			return nil, nil, fmt.Errorf("-o %s has no =", setting)
		}
		settings = append(settings, [2]string{name, value})
	}
	return settings, other, nil
}

package sites

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/internal/postmap"
	"github.com/panelmail/panelmail/transport"
)

// Limits of the tables that a MapReader reads.
const (
	maxMapRow  = 8 << 10  // octets of a row
	maxMapText = 64 << 20 // octets of a text
)

// errNoNexthop repeats nothing of the value: it may be a table of passwords by
// mistake.
var errNoNexthop = errors.New("the value is no next hop: want domain, [host], either with :port, a list of them, or DUNNO")

var errMapRows = fmt.Errorf("more than %d rows", transport.MaxRows)

// A MapReader reads tables of Postfix for [Sites.Import], as text in the format of
// postmap(1). Keys are folded as there, and of two rows with the same key the first
// counts and the other is a warning.
//
// An error tells of every row that is wrong, by name and line, as joined errors of
// type [*transport.MapError]; nothing is to be imported then. It repeats no value
// of a row that may be a password. A row may have 8 KiB, a text 64 MiB and as many
// rows as a transport map ([transport.MaxRows]).
type MapReader struct {
	// Local is the domain of a key that is a local-part alone, which in Postfix is
	// for senders of the host itself; if empty, such a key is an error.
	Local string

	// Transports are those that rows may name; if nil, the built-in ones.
	Transports transport.Definitions

	// Services are those of master.cf that rows may name as well.
	Services []Service

	// Subdomains says that transport_maps is listed in
	// parent_domain_matches_subdomains: see [transport.Table.MatchSubdomains].
	Subdomains bool
}

// Routes reads a transport map, transport(5).
func (m MapReader) Routes(name string, r io.Reader) (Import, error) {
	table, err := transport.ParseMap(name, r)
	if err == nil && m.Subdomains {
		table, err = table.MatchSubdomains()
	}
	if err != nil {
		return Import{}, err
	}
	if err := table.Check(m.transports()); err != nil {
		return Import{}, err
	}
	rows := Import{Warnings: table.Warnings(), Routes: make([]Route, 0, table.Len())}
	for pattern, value := range table.All() {
		rows.Routes = append(rows.Routes, Route{Pattern: pattern, Value: value})
	}
	return rows, nil
}

// SmartHosts reads a table of smart hosts by sender,
// sender_dependent_relayhost_maps.
func (m MapReader) SmartHosts(name string, r io.Reader) (Import, error) {
	return m.read(name, r, func(rows *Import, key, value string) (string, error) {
		k, err := m.senderKey(key)
		if err != nil {
			return "", err
		}
		h := SmartHost{Key: k.key, Nexthop: value}
		if h.Check() != nil {
			return "", errNoNexthop
		}
		rows.SmartHosts = append(rows.SmartHosts, h)
		return k.key, nil
	})
}

// Credentials reads a table of passwords, smtp_sasl_password_maps: a next hop as
// written where it is used, a host, an address or @domain, and user:password.
func (m MapReader) Credentials(name string, r io.Reader) (Import, error) {
	return m.read(name, r, func(rows *Import, key, value string) (string, error) {
		if !strings.Contains(key, "@") {
			if err := checkNexthop(key); err != nil {
				return "", fmt.Errorf("the key is neither a sender nor a next hop: %w", err)
			}
		}
		k, err := credentialKey(key)
		if err != nil {
			return "", plainly(err)
		}
		c := Credential{Key: k.key}
		c.Credential.User, c.Credential.Password, _ = strings.Cut(value, ":")
		if err := checkCredential("credential", key, c.Credential); err != nil {
			return "", plainly(err)
		}
		rows.Credentials = append(rows.Credentials, c)
		return k.key, nil
	})
}

// SenderTransports reads a table of transports by sender,
// sender_dependent_default_transport_maps. A row becomes a sender route if it names
// a transport. If it names one of the services, of which what counts here is the
// address and the name that mail leaves under, it becomes a source; with a next hop
// it becomes a route by smtp as well.
func (m MapReader) SenderTransports(name string, r io.Reader) (Import, error) {
	known := m.transports()
	return m.read(name, r, func(rows *Import, key, value string) (string, error) {
		k, err := m.senderKey(key)
		if err != nil {
			return "", err
		}
		row := SenderRoute{Key: k.key, Value: value}
		route, err := row.parse()
		if err != nil {
			return "", plainly(err)
		}
		i := slices.IndexFunc(m.Services, func(s Service) bool { return s.Name == route.Transport })
		d, ok := known[route.Transport]
		switch {
		case i >= 0:
			d = transport.Builtin()["smtp"]
		case !ok && route.Transport != "":
			return "", fmt.Errorf("unknown transport %q", route.Transport)
		}
		if err := d.CheckNexthop(route.Nexthop); err != nil {
			return "", err
		}
		if i >= 0 {
			src := m.Services[i].source(k.key)
			if err := src.check(); err != nil {
				return "", plainly(err)
			}
			rows.Sources = append(rows.Sources, src)
			row.Value = "smtp:" + route.Nexthop
		}
		if i < 0 || route.Nexthop != "" {
			rows.SenderRoutes = append(rows.SenderRoutes, row)
		}
		return k.key, nil
	})
}

func (m MapReader) transports() transport.Definitions {
	if m.Transports == nil {
		return transport.Builtin()
	}
	return m.Transports
}

// senderKey folds the key of a table about senders.
func (m MapReader) senderKey(key string) (senderKey, error) {
	if key != keyNull && !strings.Contains(key, "@") {
		if m.Local == "" {
			return senderKey{}, errors.New("the key has no @: it is for a local-part of the host itself, or matches nothing")
		}
		if strings.Contains(key, ".") {
			// A local-part may have dots, but a domain is what was meant.
			return senderKey{}, fmt.Errorf("matches nothing; for the domain write @%s", strings.TrimPrefix(key, "."))
		}
		key += "@" + m.Local
	}
	k, err := parseSenderKey("key", key)
	return k, plainly(err)
}

// read reads rows. add adds one to rows and returns its key as folded.
func (m MapReader) read(name string, r io.Reader, add func(rows *Import, key, value string) (string, error)) (Import, error) {
	var rows Import
	var problems postmap.Problems
	lines := map[string]int{} // where a key stands
	sc := postmap.NewScanner(r, postmap.Limits{Row: maxMapRow, Text: maxMapText})
	for sc.Scan() {
		pattern, value, err := sc.Row()
		if err == nil {
			err = m.addRow(&rows, lines, name, sc.Line(), pattern, value, add)
		}
		if err != nil {
			problems.Add(&transport.MapError{Name: name, Line: sc.Line(), Pattern: pattern, Err: err})
		}
		if errors.Is(err, errMapRows) {
			break
		}
	}
	if line, err := sc.Err(); err != nil {
		problems.Add(&transport.MapError{Name: name, Line: line, Err: err})
	}
	if err := problems.Err(); err != nil {
		return Import{}, err
	}
	return rows, nil
}

// addRow adds one row, unless its key is there already.
func (m MapReader) addRow(rows *Import, lines map[string]int, name string, line int, pattern, value string, add func(*Import, string, string) (string, error)) error {
	switch {
	case value == "":
		return errors.New("the value is missing")
	case hasControls(pattern):
		return errors.New("control character or malformed UTF-8 in the key")
	case strings.HasSuffix(pattern, ":"):
		return errors.New("the key ends in a colon: this is the form of an alias file")
	case len(lines) == transport.MaxRows:
		return errMapRows
	}
	var one Import
	key, err := add(&one, pattern, value)
	if err != nil {
		return err
	}
	if first := lines[key]; first > 0 {
		rows.Warnings = append(rows.Warnings, fmt.Sprintf("%s:%d: %s stands on line %d already, which counts", name, line, pattern, first))
		return nil
	}
	lines[key] = line
	rows.SenderRoutes = append(rows.SenderRoutes, one.SenderRoutes...)
	rows.Sources = append(rows.Sources, one.Sources...)
	rows.SmartHosts = append(rows.SmartHosts, one.SmartHosts...)
	rows.Credentials = append(rows.Credentials, one.Credentials...)
	return nil
}

// plainly is an error of a row without its kind and key, which the line names.
func plainly(err error) error {
	if err == nil {
		return nil
	}
	_, problem, found := strings.Cut(err.Error(), ErrInvalid.Error()+": ")
	if !found {
		return err
	}
	return errors.New(problem)
}

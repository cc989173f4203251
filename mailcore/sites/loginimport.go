package sites

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of [Sites.ImportLogins].
const (
	maxImportLine   = 4096 // octets
	maxImportLogins = 100_000
	maxImportErrors = 20
)

// ImportLogins adds the logins of a file in the shape of passwd(5), as Dovecot has
// them, to a site: on each line a name, a colon and a hash as [Sites.AddLoginHash]
// takes it; what follows a second colon is left out, and so are empty lines and
// those that begin with a number sign. Either all are added, or none and the error
// names each line that is wrong, up to 20 of them, without its hash. A file has up
// to 100,000 logins. It returns how many were added.
func (s *Sites) ImportLogins(ctx context.Context, site string, file io.Reader) (added int, err error) {
	rows, err := readLogins(site, file)
	if err != nil {
		return 0, err
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		var problems []error
		for _, row := range rows {
			if err := insertLogin(tx, row.Login, row.hash); err != nil {
				if ours(err) != err {
					return err
				}
				problems = append(problems, fmt.Errorf("line %d: %w", row.line, err))
			}
			if len(problems) == maxImportErrors {
				break
			}
		}
		return errors.Join(problems...)
	})
	if err != nil {
		return 0, err
	}
	return len(rows), nil
}

// importRow is a line of a file of logins.
type importRow struct {
	Login
	hash string
	line int
}

func readLogins(site string, file io.Reader) (rows []importRow, err error) {
	var problems []error
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxImportLine)
	for n := 1; lines.Scan() && len(problems) < maxImportErrors; n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, rest, ok := strings.Cut(line, ":")
		if !ok { // it may be a hash
			problems = append(problems, fmt.Errorf("sites: line %d of the logins is %w: no colon", n, ErrInvalid))
			continue
		}
		hash, _, _ := strings.Cut(rest, ":")
		if _, err := parseHash(hash); err != nil {
			problems = append(problems, fmt.Errorf("line %d: %w", n, invalid("login", name, "%v", err)))
			continue
		}
		rows = append(rows, importRow{Login{Name: name, Site: site}, hash, n})
		if len(rows) > maxImportLogins {
			return nil, fmt.Errorf("sites: a file of more than %d logins is %w", maxImportLogins, ErrInvalid)
		}
	}
	if err := lines.Err(); err != nil {
		problems = append(problems, fmt.Errorf("sites: the file of logins: %w", err))
	}
	return rows, errors.Join(problems...)
}

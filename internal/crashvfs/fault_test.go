//go:build cgo && linux

package crashvfs_test

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/internal/crashvfs"
)

// TestADiskFailsAsTold commits twice: the second time with a fault.
func TestADiskFailsAsTold(t *testing.T) {
	type found struct {
		Error           string
		Seen, Lost, All int // rows after the fault: by the program, and left by power cuts
	}
	for _, c := range []struct {
		op    crashvfs.Op
		fault crashvfs.Fault
		want  found
	}{
		{crashvfs.Write, crashvfs.IOError, found{"disk I/O error", 1, 1, 1}},
		{crashvfs.Write, crashvfs.Full, found{"database or disk is full", 1, 1, 1}},
		{crashvfs.Write, crashvfs.Partly, found{"database or disk is full", 1, 1, 1}},
		{crashvfs.Sync, crashvfs.IOError, found{"disk I/O error", 1, 1, 1}},
		{crashvfs.Sync, crashvfs.Partly, found{"disk I/O error", 1, 2, 2}}, // it happened: "failed" means "unknown"
	} {
		t.Run(c.op.String()+" "+c.fault.String(), func(t *testing.T) {
			disk := mount(t, func(*crashvfs.State) {})
			db := on(t, disk, filepath.Join(t.TempDir(), "db"))
			run(t, db, `PRAGMA journal_mode = WAL`, `CREATE TABLE t (x)`, `PRAGMA synchronous = FULL`, `INSERT INTO t VALUES (1)`)
			asked := map[crashvfs.Op]int{}
			disk.Fail(func(op crashvfs.Op) crashvfs.Fault {
				if asked[op]++; op == c.op && asked[op] == 1 {
					return c.fault
				}
				return crashvfs.NoFault
			})
			var got found
			if _, err := db.Exec(`INSERT INTO t VALUES (2)`); err != nil {
				got.Error, _, _ = strings.Cut(err.Error(), ":") // whatever errno says
			}
			if err := db.QueryRow(`SELECT count(*) FROM t`).Scan(&got.Seen); err != nil {
				t.Fatal(err)
			}
			chance := rand.New(rand.NewPCG(1, 1))
			disk.Still(func(s *crashvfs.State) {
				got.Lost, got.All = rows(t, s.Cut(crashvfs.Lost, chance)), rows(t, s.Cut(crashvfs.Kept, chance))
			})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if asked[c.op] == 0 {
				t.Errorf("asked: %v", asked)
			}
		})
	}
}

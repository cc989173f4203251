//go:build cgo && linux

package crashvfs

// #include <stdlib.h>
// #include "vfs.h"
import "C"

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime/cgo"
	"sync"
	"unsafe"
)

// A Disk is an SQLite VFS with a [State]. It serves the databases of one
// directory, which must be empty of them before.
type Disk struct {
	name   string
	cname  *C.char
	vfs    unsafe.Pointer
	handle cgo.Handle
	probe  func(*State)

	mu    sync.Mutex
	state *State
	files []*file // by id, from 1
	fault func(Op) Fault
}

// Mount registers a disk with SQLite. The probe is called before each change,
// sync or removal takes its place in the state, on the thread that makes it and
// with the disk standing still: nothing gets on or off it until the probe
// returns. A probe must not use a database on the disk and must not keep the
// state.
func Mount(probe func(*State)) (*Disk, error) {
	d := &Disk{probe: probe, state: newState()}
	d.handle = cgo.NewHandle(d)
	d.name = fmt.Sprintf("crash%d", d.handle) // no other disk has the handle
	d.cname = C.CString(d.name)
	d.vfs = C.crashvfs_register(d.cname, C.uintptr_t(d.handle))
	if d.vfs == nil {
		d.free()
		return nil, errors.New("crashvfs: SQLite is not linked into this program, or has no memory")
	}
	return d, nil
}

// Name is what SQLite knows the disk by: "file:/path?vfs=" and this.
func (d *Disk) Name() string { return d.name }

// Fail has fault asked before each operation how that is to fail; nil ends it. It
// is called with the disk standing still, like a probe.
func (d *Disk) Fail(fault func(Op) Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault
}

// Still calls look with the disk standing still, like a probe.
func (d *Disk) Still(look func(*State)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	look(d.state)
}

// Unmount ends the disk. Databases on it must have been closed.
func (d *Disk) Unmount() {
	C.crashvfs_unregister(d.vfs)
	d.free()
}

func (d *Disk) free() {
	C.free(unsafe.Pointer(d.cname))
	d.handle.Delete()
}

// change lets the probe look and then books what happened.
func (d *Disk) change(book func(s *State)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.probe(d.state)
	book(d.state)
}

func disk(handle C.uintptr_t) *Disk { return cgo.Handle(handle).Value().(*Disk) }

// crashvfsOpen returns the number of a file, new or known; 0 refuses one that
// has a past.
//
//export crashvfsOpen
func crashvfsOpen(handle C.uintptr_t, path *C.char, size C.int64_t) C.int64_t {
	d, name := disk(handle), filepath.Base(C.GoString(path))
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.state.seen[name]
	if f == nil {
		if size > 0 {
			return 0
		}
		d.probe(d.state)
		f = &file{id: int64(len(d.files)) + 1}
		d.files = append(d.files, f)
		d.state.create(name, f)
	}
	return C.int64_t(f.id)
}

//export crashvfsWrite
func crashvfsWrite(handle C.uintptr_t, id C.int64_t, data unsafe.Pointer, n C.int, at C.int64_t) {
	d := disk(handle)
	d.change(func(s *State) { s.write(d.files[id-1], int64(at), C.GoBytes(data, n)) })
}

//export crashvfsTruncate
func crashvfsTruncate(handle C.uintptr_t, id, size C.int64_t) {
	d := disk(handle)
	d.change(func(s *State) { s.truncate(d.files[id-1], int64(size)) })
}

//export crashvfsSync
func crashvfsSync(handle C.uintptr_t, id C.int64_t) {
	d := disk(handle)
	d.change(func(s *State) { s.sync(d.files[id-1]) })
}

//export crashvfsDrop
func crashvfsDrop(handle C.uintptr_t, id C.int64_t) {
	d := disk(handle)
	d.change(func(s *State) { s.drop(d.files[id-1]) })
}

//export crashvfsFault
func crashvfsFault(handle C.uintptr_t, op C.int) C.int {
	d := disk(handle)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault == nil {
		return C.int(NoFault)
	}
	return C.int(d.fault(Op(op)))
}

//export crashvfsDelete
func crashvfsDelete(handle C.uintptr_t, path *C.char, synced C.int) {
	name := filepath.Base(C.GoString(path))
	disk(handle).change(func(s *State) { s.remove(name, synced != 0) })
}

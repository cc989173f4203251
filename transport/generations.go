package transport

// generations is a map that forgets what was not used lately. Entries are in two
// generations, what is used in the young one. When that had size newcomers it
// becomes the old one, and the old one is forgotten, but for what keep wants to
// keep. There are 2 size entries at most, and those that keep insists on.
type generations[K comparable, V any] struct {
	size       int
	keep       func(v V, kept int) bool // nil: nothing
	young, old map[K]V
	newcomers  int
}

// get returns an entry and makes it young.
func (g *generations[K, V]) get(key K) (v V, ok bool) {
	if v, ok = g.young[key]; ok {
		return v, true
	}
	if v, ok = g.old[key]; ok {
		g.put(key, v)
	}
	return v, ok
}

// put sets an entry.
func (g *generations[K, V]) put(key K, v V) {
	if _, known := g.young[key]; !known {
		if g.newcomers >= g.size {
			g.turn()
		}
		g.newcomers++
	}
	if g.young == nil {
		g.young = make(map[K]V)
	}
	g.young[key] = v
}

// turn makes the young generation the old one.
func (g *generations[K, V]) turn() {
	forgotten := g.old
	g.old, g.young, g.newcomers = g.young, nil, 0
	if g.keep == nil {
		return
	}
	for key, v := range forgotten {
		if _, known := g.old[key]; !known && g.keep(v, len(g.young)) {
			if g.young == nil {
				g.young = make(map[K]V)
			}
			g.young[key] = v
		}
	}
}

package gen

import (
	"strconv"

	"chaos/model"
)

// deck deals actions like cards: each has as many cards as its weight says, and none comes back
// before the deck is used up, so rare actions never starve (after cockroachdb/metamorphic).
type deck struct {
	src     model.Source
	actions []model.Drawable
	cards   []model.Drawable
	thrown  bool // every deal is from a full deck
}

func newDeck(src model.Source, actions []model.Drawable) *deck {
	return &deck{src: src, actions: actions}
}

// deal returns the next action that makes sense under the belief. The one that makes boxes always
// does at the beginning; later, when no card fits, a fresh deck is opened.
func (d *deck) deal(b model.Belief) model.Drawable {
	for fresh := false; ; fresh = true {
		for i, a := range d.cards {
			if a.Ready(b) {
				d.cards = append(d.cards[:i:i], d.cards[i+1:]...)
				if d.thrown {
					d.cards = d.cards[:0]
				}
				return a
			}
		}
		if fresh {
			panic("gen: no action is ready, not even in a full deck")
		}
		d.cards = d.cards[:0]
		for _, a := range d.actions {
			for range a.Spec().Weight {
				d.cards = append(d.cards, a)
			}
		}
		d.cards = shuffled(d.src, d.cards)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"chaos/stack/embedded/bugs"
	"chaos/stack/embedded/sandbox"
)

// stateFile is the file in the directory of a box by which another runner knows it. It is there from the
// moment the box is complete, before anybody is told of it, until the directory is removed.
const stateFile = "box.json"

// boxState is the content of a state file.
type boxState struct {
	ID         string    `json:"id"`
	CoreID     string    `json:"core_id"`
	Image      string    `json:"image"`
	Env        []string  `json:"env"`
	WorkingDir string    `json:"working_dir"`
	Created    time.Time `json:"created"`
}

// save writes the state file of b at once or not at all. The directory is made if it is missing.
func (b *box) save() error {
	text, err := json.Marshal(boxState{b.id, b.coreID, b.image, b.env, b.workDir, b.created})
	if err != nil {
		return fmt.Errorf("encode state of box: %w", err)
	}
	file := filepath.Join(b.dir, stateFile)
	err = errors.Join(os.MkdirAll(b.dir, 0o700), os.WriteFile(file+".new", text, 0o600))
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		return fmt.Errorf("write state of box: %w", err)
	}
	return nil
}

// loadBox reads what a state file in dir says.
func loadBox(dir string) (*box, error) {
	text, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return nil, err
	}
	var s boxState
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("read state of box: %w", err)
	}
	return &box{
		id: s.ID, coreID: s.CoreID, dir: dir, image: s.Image, env: s.Env, workDir: s.WorkingDir, created: s.Created,
		execs: map[string]*execution{},
	}, nil
}

// adoptTimeout is how long the init of a box may take to answer.
const adoptTimeout = 5 * time.Second

// adoptAll takes over the boxes that an earlier runner has left in the directory.
func (r *Runner) adoptAll() error {
	entries, err := os.ReadDir(r.boxesDir())
	if err != nil {
		return fmt.Errorf("look for boxes: %w", err)
	}
	var wg sync.WaitGroup
	for _, e := range entries {
		wg.Go(func() { r.adopt(filepath.Join(r.boxesDir(), e.Name())) })
	}
	wg.Wait()
	return nil
}

// adopt takes over the box in dir: it runs if its init answers, and is stopped if not. What is there of a
// box that was never complete is removed. Executions of the earlier runner are unknown from now on, though
// their processes go on.
func (r *Runner) adopt(dir string) {
	ctx, cancel := context.WithTimeout(r.ctx, adoptTimeout)
	defer cancel()
	sb, err := sandbox.Adopt(ctx, dir)
	if err != nil && !errors.Is(err, sandbox.ErrGone) {
		r.log.Error("cannot adopt box", zap.String("dir", dir), zap.Error(err))
	}
	b, err := loadBox(dir)
	if err != nil {
		var killed error
		if sb != nil {
			killed = sb.Kill()
		}
		if err := errors.Join(killed, removeAll(dir)); err != nil {
			r.log.Error("cannot remove unfinished box", zap.String("dir", dir), zap.Error(err))
		}
		return
	}
	state := "stopped"
	switch {
	case sb == nil:
	case r.cfg.bugs.Has(bugs.RestartForgetsBoxes):
		r.forget(&boxRun{sb: sb})
	default:
		state = "running"
		b.run = &boxRun{sb: sb}
		r.watch(b, b.run)
	}
	r.addBox(b)
	r.log.Info("adopted box", zap.String("id", b.coreID), zap.String("name", b.id), zap.String("state", state))
}

package invariants_test

import "chaos/model"

func init() {
	good["a create whose job failed once and was done the second time"] = func() *story {
		s := begin()
		s.log("Executing job job_id=1 job_type=CREATE_BOX resource_type=box resource_id=IDb1")
		s.log(`Job failed job_id=1 job_type=CREATE_BOX resource_type=box resource_id=IDb1 error="runner restarted"`)
		s.log("Executing job job_id=2 job_type=CREATE_BOX resource_type=box resource_id=IDb1")
		s.create("b1")
		s.log("Job completed successfully job_id=2 job_type=CREATE_BOX resource_type=box resource_id=IDb1")
		return end(s)
	}
	good["a code told two ways, and the same in the log"] = func() *story {
		s := lived()
		s.log("exec finished box_id=IDb1 execution_id=Xe1 exit_code=7")
		return end(s)
	}
	bad = append(bad,
		badStory{"journal-path", "box made twice", func() *story {
			s := lived()
			s.log("created box id=coreIDb1b name=IDb1 image=alpine:latest")
			return end(s)
		}},
		badStory{"journal-path", "job failed", func() *story {
			s := lived()
			s.log(`Job failed job_id=1 job_type=CREATE_BOX resource_type=box resource_id=IDb1 error="no space"`)
			return end(s)
		}},
		badStory{"journal-path", "exec in another box", func() *story {
			s := begin()
			s.create("b1")
			s.create("b2")
			s.exec("e1", "b1", model.Payload{Stdout: 1})
			s.attach("e1", nil)
			s.h.Journal.Entries[2].Message = "exec started box_id=IDb2 execution_id=Xe1"
			s.remove("b2")
			return end(s)
		}},
		badStory{"journal-path", "other exit code", func() *story {
			s := lived()
			s.log("exec finished box_id=IDb1 execution_id=Xe1 exit_code=137")
			return end(s)
		}},
	)
}

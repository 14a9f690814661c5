// graphile-worker: `enqueue <url> <jobs>`, or `drain <url> <jobs> <local queue>`; prints seconds.
// Set up as its documentation measures throughput: 24 jobs at a time, a local queue, completions
// in batches. The clock stops when its shutdown has written the last of them.
process.env.NO_LOG_SUCCESS = "1";
const { Logger, makeWorkerUtils, run } = await import("graphile-worker");

const ENQUEUED_AT_ONCE = 1000;
const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(message);
});

async function enqueue(connectionString, jobs) {
  const utils = await makeWorkerUtils({ connectionString, logger });
  await utils.migrate();
  for (let start = 0; start < jobs; start += ENQUEUED_AT_ONCE) {
    const count = Math.min(ENQUEUED_AT_ONCE, jobs - start);
    await utils.addJobs(Array.from({ length: count }, () => ({ identifier: "nothing" })));
  }
  await utils.release();
}

async function drain(connectionString, jobs, size) {
  let done = 0;
  let finished;
  const allDone = new Promise((resolve) => (finished = resolve));
  const nothing = async () => {
    done += 1;
    if (done === jobs) finished();
  };
  const worker = {
    connectionString,
    concurrentJobs: 24,
    maxPoolSize: 25,
    localQueue: { size },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  };
  const started = performance.now();
  const runner = await run({
    preset: { worker },
    taskList: { nothing },
    logger,
    noHandleSignals: true,
  });
  await allDone;
  await runner.stop();
  return (performance.now() - started) / 1000;
}

const [verb, url, jobs, size] = process.argv.slice(2);
if (verb === "enqueue") await enqueue(url, +jobs);
else console.log(await drain(url, +jobs, +size));

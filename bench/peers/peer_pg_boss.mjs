// pg-boss: `enqueue <url> <jobs>`, or `drain <url> <jobs> <batch>`; prints the seconds.
// It fetches again at once while batches come full. The clock stops when its worker, told to
// end, has completed the last batch.
import { PgBoss } from "pg-boss";

const ENQUEUED_AT_ONCE = 1000;

async function open(url) {
  const boss = new PgBoss(url);
  boss.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
  await boss.start();
  return boss;
}

async function enqueue(url, jobs) {
  const boss = await open(url);
  await boss.createQueue("bench");
  for (let start = 0; start < jobs; start += ENQUEUED_AT_ONCE) {
    const count = Math.min(ENQUEUED_AT_ONCE, jobs - start);
    await boss.insert("bench", Array.from({ length: count }, () => ({ data: {} })));
  }
  await boss.stop();
}

async function drain(url, jobs, batchSize) {
  const started = performance.now();
  const boss = await open(url);
  let done = 0;
  let finished;
  const allDone = new Promise((resolve) => (finished = resolve));
  const options = { batchSize, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 };
  await boss.work("bench", options, async (batch) => {
    done += batch.length;
    if (done === jobs) finished();
  });
  await allDone;
  await boss.offWork("bench", { wait: true });
  const seconds = (performance.now() - started) / 1000;
  await boss.stop();
  return seconds;
}

const [verb, url, jobs, batchSize] = process.argv.slice(2);
if (verb === "enqueue") await enqueue(url, +jobs);
else console.log(await drain(url, +jobs, +batchSize));

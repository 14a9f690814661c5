// pg-boss, in the last version whose tables its dashboard knows: `prepare <url>` makes its schema and
// queues, `count <url>` prints its own count of jobs. Finished jobs stay for good (its default: seven
// days); all else as it comes.
import { PgBoss } from "pg-boss-of-dashboard";

const QUEUES = ["generate-image", "upscale-image"];
const [verb, url] = process.argv.slice(2);
const boss = new PgBoss({ connectionString: url, supervise: verb === "count", schedule: false });
boss.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
await boss.start();
if (verb === "prepare") {
  for (const name of QUEUES) await boss.createQueue(name, { deleteAfterSeconds: 0, retryLimit: 2 });
} else {
  await boss.supervise();
  const queues = await boss.getQueues();
  console.log(JSON.stringify(queues.map(({ name, totalCount, failedCount, activeCount }) => (
    { name, totalCount, failedCount, activeCount }
  ))));
}
await boss.stop();

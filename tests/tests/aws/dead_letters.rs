//! `feedfleet dlq` with queues on SQS and letters on S3; and what somebody moves there by hand.

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as Attribute};
use feedfleet_tests::aws::{AwsEnv, Ministack, QueuePair, Queues, Weed, aws_at};
use feedfleet_tests::{Fleet, Output, Reply, Server, eventually};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;

const BUCKET: &str = "letters";
/// Receives before a queue itself gives a message up: the limit of leases, and slack for interruptions.
const MAX_RECEIVES: u32 = 25;
/// Long enough for a worker to start and do a run, and for an idle one's poll to end, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
const FEED: &str = "sku,name,price\n1,Lamp,9.90\n2,Chair,50\n3,Table,120.5\n";

/// A partner whose answer the test changes, and a fleet with the pipe `shop`.
struct Scene {
    runtime: Runtime,
    fleet: Fleet,
    env: AwsEnv,
    queues: Queues,
    crawl: QueuePair,
    answer: Arc<Mutex<Reply>>,
    _server: Server,
    _ministack: Ministack,
    _weed: Weed,
}

impl Scene {
    /// `shop` is answered with 404.
    fn broken() -> Option<Self> {
        let (ministack, weed) = (Ministack::start()?, Weed::start()?);
        let answer = Arc::new(Mutex::new(Reply::status(404)));
        let served = Arc::clone(&answer);
        let server = Server::start(move |_, _| {
            served.lock().unwrap_or_else(PoisonError::into_inner).clone()
        });
        let runtime = Runtime::new().expect("a runtime can be made");
        let (queues, crawl, image) = runtime.block_on(async {
            weed.bucket(BUCKET).await;
            let queues = Queues::new(&aws_at(&ministack.url()).await);
            let (crawl, image) = (queues.pair(MAX_RECEIVES).await, queues.pair(MAX_RECEIVES).await);
            (queues, crawl, image)
        });
        let env = weed.env(ministack.env(AwsEnv::new()));
        let fleet = Fleet::with_fleet_toml(&format!(
            "[queue]\nbackend = \"sqs\"\n\
             crawl_url = \"{}\"\ncrawl_dead_url = \"{}\"\n\
             image_url = \"{}\"\nimage_dead_url = \"{}\"\n\
             [catalog]\nurl = \"s3://{BUCKET}/catalog\"\n\
             [objects]\nurl = \"s3://{BUCKET}/objects\"\n\
             [leases]\nvisibility = \"20s\"\n\
             [http]\nallow_private = [\"127.0.0.0/8\"]\n",
            crawl.url, crawl.dead_url, image.url, image.dead_url
        ));
        let url = server.base_url();
        fleet.pipe(
            "shop",
            &format!(
                "[source]\nurl = \"{url}/shop\"\nformat = \"csv\"\n[map]\nid = \"sku\"\ntitle = \"name\"\n\
                 price = {{ field = \"price\", as = \"money\", currency = \"EUR\" }}\n"
            ),
        );
        let (_server, _ministack, _weed) = (server, ministack, weed);
        Some(Self { runtime, fleet, env, queues, crawl, answer, _server, _ministack, _weed })
    }

    fn mend(&self) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Reply::ok(FEED);
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = self.fleet.command(args);
        self.env.set(&mut command);
        self.fleet.finish(command)
    }

    fn dlq(&self, args: &[&str]) -> Output {
        self.run(&[&["dlq"][..], args].concat())
    }

    /// Runs the pipe, which dies; the id of its letter and the run.
    fn dies(&self) -> (String, String) {
        let report = self.run(&["run", "shop", "--wait", "--json"]).failed().json();
        assert_eq!(report["state"], "dead", "{report:#}");
        let run = report["run"].to_string();
        (format!("crawl-shop-{run}"), run)
    }

    fn report(&self, run: &str) -> Value {
        self.run(&["runs", "show", "shop", run, "--json"]).ok().json()
    }

    fn letter(&self, id: &str) -> Value {
        self.dlq(&["show", id, "--json"]).ok().json()
    }

    /// One figure of the crawl queue.
    fn crawl_queue(&self, figure: &str) -> u64 {
        let [count] = self.crawl_queue_all([figure]);
        count
    }

    /// Several of them at one time.
    fn crawl_queue_all<const N: usize>(&self, figures: [&str; N]) -> [u64; N] {
        let status = self.run(&["fleet", "status", "--json"]).ok().json();
        let queues = status["queues"].as_array().expect("a status lists its queues").clone();
        let crawl = queues.iter().find(|q| q["name"] == "crawl").expect("there is a crawl queue");
        figures.map(|figure| crawl[figure].as_u64().expect("a queue's figures are numbers"))
    }

    /// What is on the dead-letter queue itself; it stays there.
    fn copies(&self) -> Vec<Message> {
        self.runtime.block_on(async {
            let request = self.queues.client().receive_message().queue_url(&self.crawl.dead_url);
            let request = request.visibility_timeout(0).max_number_of_messages(10);
            let request = request.message_attribute_names("All");
            let request = request.message_system_attribute_names(Attribute::All);
            let received = request.send().await.expect("the dead letters can be received");
            received.messages.unwrap_or_default()
        })
    }

    /// What a move of SQS's own does: the same body and group, under an id of its own.
    fn move_back(&self, message: &Message, id: &str) {
        let attributes = message.attributes().expect("its attributes were asked for");
        let group = attributes.get(&Attribute::MessageGroupId).expect("a message has a group");
        self.runtime.block_on(async {
            let client = self.queues.client();
            let sent = client.send_message().queue_url(&self.crawl.url).message_group_id(group);
            let sent = sent.message_deduplication_id(id);
            let body = message.body().expect("a message has a body");
            let sent = sent.set_message_attributes(message.message_attributes().cloned());
            sent.message_body(body).send().await.expect("a message can be sent");
        });
    }

    /// Starts a worker, waits until the queue is empty, and stops the worker.
    fn work(&self) {
        let mut worker = self.fleet.command(&["worker"]);
        self.env.set(&mut worker);
        let _worker = self.fleet.start(worker);
        eventually(SOON, "the queue to be empty", || {
            (self.crawl_queue_all(["visible", "in_flight"]) == [0, 0]).then_some(())
        });
    }
}

/// Promise 8: as on the embedded queue, a letter is listed from the lasting objects, exported, replayed under its group
/// although SQS has known its job for less than five minutes, and dropped.
#[test]
fn letters_on_aws_are_decided_on_by_the_same_commands() {
    let Some(scene) = Scene::broken() else { return };
    let (id, run) = scene.dies();
    let copies = scene.copies();
    let [copy] = copies.as_slice() else { panic!("one copy, not {copies:?}") };
    let letter = scene.letter(&id);
    assert_eq!(letter["state"], "waiting", "{letter:#}");
    assert_eq!(letter["body"].as_str(), copy.body(), "{copy:?}");
    let reason = copy.message_attributes().and_then(|attributes| attributes.get("reason"));
    let reason = reason.and_then(|reason| reason.string_value()).unwrap_or_default();
    assert!(reason.contains("404"), "{copy:?}");
    let listed = scene.dlq(&["list", "--json"]).ok().json();
    assert_eq!((&listed[0]["pipe"], &listed[0]["count"]), (&"shop".into(), &1.into()));
    let exported = scene.dlq(&["export"]).ok().stdout;
    assert_eq!(serde_json::from_str::<Value>(exported.trim()).expect("a line of JSON"), letter);

    scene.dlq(&["replay", &id, "--dry-run"]).ok().says(&["would be replayed"]);
    assert_eq!(scene.letter(&id), letter);
    assert_eq!((scene.crawl_queue("dead"), scene.crawl_queue("visible")), (1, 0));
    scene.mend();
    scene.dlq(&["replay", "--pipe", "shop", "--by", "ann", "--rate", "5"]).ok();
    assert_eq!((scene.crawl_queue("dead"), scene.crawl_queue("visible")), (0, 1));
    scene.work();
    let report = scene.report(&run);
    assert_eq!((&report["state"], &report["counts"]["new"]), (&"done".into(), &3.into()));
    let linked = scene.run(&["runs", "show", "shop", &run, "--link=15m"]).ok();
    linked.says(&["report at", "X-Amz-Expires=900", "links end"]);
    let too_long = scene.run(&["runs", "show", "shop", &run, "--link=8d"]);
    assert_eq!(too_long.code, Some(2));
    too_long.says(&["from 1s to 7d"]);
    let letter = scene.letter(&id);
    assert_eq!(
        (&letter["state"], &letter["history"][0]["by"]),
        (&"replayed".into(), &"ann".into())
    );

    *scene.answer.lock().unwrap_or_else(PoisonError::into_inner) = Reply::status(404);
    let (id, _) = scene.dies();
    scene.dlq(&["drop", &id, "--by", "ann"]).ok().says(&["1 dropped"]);
    assert_eq!(scene.crawl_queue("dead"), 0);
    scene.dlq(&["list"]).ok().says(&["no dead letter waits for a decision"]);
}

/// Promise 5: a copy that is moved back by hand, as SQS's own redrive task does, changes nothing: neither while its
/// letter waits nor after the replay.
#[test]
fn what_is_moved_back_by_hand_does_no_harm() {
    let Some(scene) = Scene::broken() else { return };
    let (id, run) = scene.dies();
    let copies = scene.copies();
    let [copy] = copies.as_slice() else { panic!("one copy, not {copies:?}") };
    scene.mend();
    let (letter, report) = (scene.letter(&id), scene.report(&run));
    scene.move_back(copy, "once");
    assert_eq!(scene.crawl_queue("visible"), 1);
    scene.work();
    assert_eq!((scene.letter(&id), scene.report(&run)), (letter, report), "it still waits");

    scene.dlq(&["replay", &id]).ok().says(&["1 replayed"]);
    scene.work();
    let report = scene.report(&run);
    assert_eq!(report["state"], "done", "{report:#}");
    scene.move_back(copy, "again");
    scene.work();
    assert_eq!(scene.report(&run), report);
}

//! Notifications: everybody who listens gets a hint, sooner or later.

use std::time::Duration;

use athena_db::{ErrorKind, Executor, Notification, Notifications, TxOptions, params};

use crate::backends::{Store, story};

/// Waits until the channel has said this; hints to look may come before it.
async fn said(notifications: &mut Notifications, payload: &str) {
    let heard = async {
        while let Some(notification) = notifications.next().await {
            if notification == Notification::Said(payload.to_owned()) {
                return;
            }
            assert_eq!(notification, Notification::Look);
        }
        panic!("the channel ended");
    };
    tokio::time::timeout(Duration::from_secs(30), heard)
        .await
        .unwrap();
}

story! {
    #[tokio::test]
    async fn what_is_said_is_heard_on_its_channel(store: Store) {
        let mut news = store.db.listen("news").await.unwrap();
        let mut quoted = store.db.listen("a \"quoted\" Channel").await.unwrap();
        store.db.notify("nobody listens", "").await.unwrap();
        store.db.notify("news", "one").await.unwrap();
        store
            .db
            .notify("a \"quoted\" Channel", "it's")
            .await
            .unwrap();
        store.db.notify("news", "two").await.unwrap();
        said(&mut news, "one").await;
        said(&mut news, "two").await;
        said(&mut quoted, "it's").await;
    }
}

story! {
    #[tokio::test]
    async fn a_transaction_speaks_when_it_is_committed(store: Store) {
        let mut news = store.db.listen("news").await.unwrap();
        let tx = store.db.begin(TxOptions::default()).await.unwrap();
        tx.notify("news", "taken back").await.unwrap();
        tx.rollback().await.unwrap();

        let tx = store.db.begin(TxOptions::default()).await.unwrap();
        tx.notify("news", "kept").await.unwrap();
        let savepoint = tx.savepoint().await.unwrap();
        tx.notify("news", "undone").await.unwrap();
        savepoint.rollback().await.unwrap();
        tx.notify("news", "after").await.unwrap();
        tx.commit().await.unwrap();
        said(&mut news, "kept").await;
        said(&mut news, "after").await;
    }
}

story! {
    #[tokio::test]
    async fn commits_of_another_process_are_noticed(store: Store) {
        store.create("t (id BIGINT PRIMARY KEY)").await;
        let mut news = store.db.listen("news").await.unwrap();
        let other = store.another().await;
        other
            .execute("INSERT INTO t (id) VALUES (1)", params! {})
            .await
            .unwrap();
        other.notify("news", "look").await.unwrap();
        let hint = tokio::time::timeout(Duration::from_secs(30), news.next())
            .await
            .unwrap();
        assert!(hint.is_some());
        other.close().await.unwrap();
    }
}

story! {
    #[tokio::test]
    async fn listening_ends_with_the_database(store: Store) {
        let other = store.another().await;
        let mut news = other.listen("news").await.unwrap();
        other.close().await.unwrap();
        let end = async { while news.next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(30), end)
            .await
            .unwrap();
    }
}

story! {
    #[tokio::test]
    async fn names_and_payloads_have_bounds_everywhere(store: Store) {
        let long = "x".repeat(64);
        for channel in ["", &long, "a\0b"] {
            let error = store.db.listen(channel).await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Type { .. }), "{error:?}");
        }
        let error = store
            .db
            .notify("news", &"x".repeat(8000))
            .await
            .unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Type { .. }), "{error:?}");
        store.db.notify("news", &"x".repeat(7999)).await.unwrap();
    }
}
